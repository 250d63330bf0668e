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

/// A FLAC file of 16 bits, one slice a channel, uncompressed ("verbatim") but otherwise complete.
pub fn flac(channels: &[&[f32]], rate: u32) -> Vec<u8> {
    const BLOCK: usize = 4_096;
    let frames = channels.iter().map(|channel| channel.len()).min().unwrap_or(0);
    // STREAMINFO: block sizes, frame sizes unknown, 20 bits of rate, 3 of channels, 5 of sample size, 36 of length, no MD5.
    let packed = u64::from(rate) << 44 | (channels.len() as u64 - 1) << 41 | 15 << 36 | frames as u64;
    let mut bytes = b"fLaC\x80\0\0\x22\x10\0\x10\0\0\0\0\0\0\0".to_vec();
    bytes.extend(packed.to_be_bytes());
    bytes.extend([0; 16]);
    for (number, from) in (0..frames).step_by(BLOCK).enumerate() {
        let to = frames.min(from + BLOCK);
        // Sync, block size of 16 bits at the end of the header, rate and channels, 16-bit samples, frame number, block size.
        let mut frame = vec![0xff, 0xf8, 0x70, (channels.len() as u8 - 1) << 4 | 0x08];
        frame.extend(char::from_u32(number as u32).expect("few frames").to_string().bytes());
        frame.extend(((to - from - 1) as u16).to_be_bytes());
        frame.push(crc(&frame, 8, 0x07) as u8);
        for channel in channels {
            frame.push(0x02);
            frame.extend(channel[from..to].iter().flat_map(|&x| ((x * 32_768.0).round() as i16).to_be_bytes()));
        }
        frame.extend(crc(&frame, 16, 0x8005).to_be_bytes());
        bytes.extend(frame);
    }
    bytes
}

fn crc(bytes: &[u8], bits: u32, polynomial: u16) -> u16 {
    let (top, mask) = (1u32 << (bits - 1), (1u32 << bits) - 1);
    let step = |crc: u32| if crc & top != 0 { crc << 1 ^ u32::from(polynomial) } else { crc << 1 } & mask;
    bytes.iter().fold(0u32, |crc, &byte| (0..8).fold(crc ^ u32::from(byte) << (bits - 8), |crc, _| step(crc))) as u16
}

/// `count` frames of silent MP3: MPEG 1 layer III, 128 kbit/s, 44.1 kHz, 1152 samples each.
pub fn silent_mp3(count: usize) -> Vec<u8> {
    [&[0xff, 0xfb, 0x90, 0x00][..], &[0; 413]].concat().repeat(count)
}
