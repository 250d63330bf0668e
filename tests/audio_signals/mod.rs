//! Sounds made for the tests, and a WAV around them.
#![allow(dead_code, reason = "each test binary uses its part")]

/// The rate of most clips.
pub const RATE: u32 = 44_100;

fn samples(seconds: f64, rate: u32) -> impl Iterator<Item = f64> {
    (0..(seconds * f64::from(rate)).round() as u32).map(move |i| f64::from(i) / f64::from(rate))
}

/// A pure tone.
pub fn sine(hz: f64, amplitude: f32, seconds: f64, rate: u32) -> Vec<f32> {
    samples(seconds, rate).map(|t| amplitude * (t * hz * std::f64::consts::TAU).sin() as f32).collect()
}

/// White noise, the same every time.
pub fn noise(amplitude: f32, seconds: f64, rate: u32) -> Vec<f32> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    samples(seconds, rate)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            amplitude * ((state >> 40) as f32 / (1u64 << 23) as f32 - 1.0)
        })
        .collect()
}

/// A short burst of noise on every beat.
pub fn clicks(bpm: f64, seconds: f64, rate: u32) -> Vec<f32> {
    let period = 60.0 / bpm;
    let burst = noise(0.8, seconds, rate);
    samples(seconds, rate).zip(burst).map(|(t, x)| x * (-200.0 * (t % period)).exp() as f32).collect()
}

/// Pitch classes (C = 0) sounding together around middle C, with a few harmonics.
pub fn chord(classes: &[u32], seconds: f64, rate: u32) -> Vec<f32> {
    let tone = |class: u32, t: f64| -> f64 {
        let hz = 261.63 * 2f64.powf(f64::from(class) / 12.0);
        (1..=4).map(|h| (t * hz * f64::from(h) * std::f64::consts::TAU).sin() / f64::from(h * h)).sum()
    };
    samples(seconds, rate).map(|t| 0.1 * classes.iter().map(|&class| tone(class, t)).sum::<f64>() as f32).collect()
}

/// Two sounds at the same time.
pub fn mix(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

/// A WAV file of 32-bit floats, one slice a channel.
pub fn wav(channels: &[&[f32]], rate: u32) -> Vec<u8> {
    let frames = channels.iter().map(|channel| channel.len()).min().unwrap_or(0);
    let width = channels.len() as u32 * 4;
    let data_len = frames as u32 * width;
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((36 + data_len).to_le_bytes());
    bytes.extend(b"WAVEfmt \x10\0\0\0\x03\0");
    bytes.extend((channels.len() as u16).to_le_bytes());
    bytes.extend(rate.to_le_bytes());
    bytes.extend(rate.wrapping_mul(width).to_le_bytes());
    bytes.extend((width as u16).to_le_bytes());
    bytes.extend(b"\x20\0data");
    bytes.extend(data_len.to_le_bytes());
    for frame in 0..frames {
        bytes.extend(channels.iter().flat_map(|channel| channel[frame].to_le_bytes()));
    }
    bytes
}
