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
        frame.extend((crc(&frame, 16, 0x8005) as u16).to_be_bytes());
        bytes.extend(frame);
    }
    bytes
}

fn crc(bytes: &[u8], bits: u32, polynomial: u32) -> u32 {
    let (top, mask) = (1u32 << (bits - 1), u32::MAX >> (32 - bits));
    let step = |crc: u32| if crc & top != 0 { crc << 1 ^ polynomial } else { crc << 1 } & mask;
    bytes.iter().fold(0u32, |crc, &byte| (0..8).fold(crc ^ u32::from(byte) << (bits - 8), |crc, _| step(crc)))
}

/// `count` frames of silent MP3: MPEG 1 layer III, 128 kbit/s, 44.1 kHz, 1152 samples each.
pub fn silent_mp3(count: usize) -> Vec<u8> {
    [&[0xff, 0xfb, 0x90, 0x00][..], &[0; 413]].concat().repeat(count)
}

/// An MP4 file of 16 bits, one channel, whose movie box comes before the sound, in samples of 1024 frames each.
pub fn mp4(channel: &[f32], rate: u32) -> Vec<u8> {
    let boxed = |kind: &[u8; 4], parts: &[&[u8]]| -> Vec<u8> {
        let content = parts.concat();
        [&(content.len() as u32 + 8).to_be_bytes()[..], kind, &content].concat()
    };
    let words = |words: &[u32]| -> Vec<u8> { words.iter().flat_map(|word| word.to_be_bytes()).collect() };
    let count = channel.len() as u32 / 1_024;
    let movie = |offset: u32| -> Vec<u8> {
        let entry = [&words(&[0, 1, 0, 0, 0x1_0010, 0])[..], &words(&[rate << 16])].concat();
        let tables = [
            boxed(b"stsd", &[&words(&[0, 1]), &boxed(b"twos", &[&entry])]),
            boxed(b"stts", &[&words(&[0, 1, count, 1_024])]),
            boxed(b"stsc", &[&words(&[0, 1, 1, count, 1])]),
            boxed(b"stsz", &[&words(&[0, 2_048, count])]),
            boxed(b"stco", &[&words(&[0, 1, offset])]),
        ];
        let handler = boxed(b"hdlr", &[&[0; 8], b"soun", &[0; 13]]);
        let table = boxed(b"minf", &[&boxed(b"smhd", &[&[0; 8]]), &boxed(b"stbl", &[&tables.concat()])]);
        let media = boxed(b"mdia", &[&boxed(b"mdhd", &[&words(&[0, 0, 0, rate, count * 1_024, 0])]), &handler, &table]);
        let track = boxed(b"trak", &[&boxed(b"tkhd", &[&words(&[0, 0, 0, 1, 0, 0]), &[0; 60]]), &media]);
        boxed(b"moov", &[&boxed(b"mvhd", &[&words(&[0, 0, 0, rate, count * 1_024, 0x1_0000]), &[0; 76]]), &track])
    };
    let head = boxed(b"ftyp", &[b"M4A isom"]);
    let offset = head.len() + movie(0).len() + 8;
    let samples = channel[..count as usize * 1_024].iter();
    let sound: Vec<u8> = samples.flat_map(|&x| ((x * 32_767.0).round() as i16).to_be_bytes()).collect();
    [head, movie(offset as u32), boxed(b"mdat", &[&sound])].concat()
}

/// `packets` of 1024 silent samples as Ogg Vorbis: the smallest set-up header there is, and a page for each twenty packets.
pub fn vorbis(channels: u8, packets: usize, rate: u32) -> Vec<u8> {
    let identification = [&b"\x01vorbis\0\0\0\0"[..], &[channels], &rate.to_le_bytes(), &[0; 12], &[0xbb, 1]].concat();
    let comment = b"\x03vorbis\0\0\0\0\0\0\0\0\x01".to_vec();
    // One codebook of two words of one bit, one floor without points, one residue, mapping and mode: value and width of each.
    let codebook = [(0, 8), (0x56_4342, 24), (1, 16), (2, 24), (0, 2), (0, 5), (0, 5), (0, 4)];
    let floor = [(0, 6), (0, 16), (0, 6), (1, 16), (0, 5), (0, 2), (8, 4)];
    let residue = [(0, 6), (0, 16), (0, 24), (0, 24), (31, 24), (0, 6), (0, 8), (0, 4)];
    let mapping_and_mode = [(0, 6), (0, 16), (0, 4), (0, 24), (0, 6), (0, 33), (0, 8), (1, 1)];
    let bits: Vec<bool> = [codebook.as_slice(), &floor, &residue, &mapping_and_mode]
        .concat()
        .into_iter()
        .flat_map(|(value, width): (u64, u32)| (0..width).map(move |bit| value >> bit & 1 == 1))
        .collect();
    let bytes = bits.chunks(8).map(|bits| bits.iter().rev().fold(0, |byte, &bit| byte << 1 | u8::from(bit)));
    let setup: Vec<u8> = b"\x05vorbis".iter().copied().chain(bytes).collect();
    // The first packet only fills the overlap.
    let end = |packets: usize| packets.saturating_sub(1) as u64 * 1_024;
    let mut pages = vec![ogg_page(2, 0, 0, &[identification]), ogg_page(0, 0, 1, &[comment, setup])];
    for from in (0..packets).step_by(20) {
        let to = packets.min(from + 20);
        let kind = if to == packets { 4 } else { 0 };
        pages.push(ogg_page(kind, end(to), pages.len() as u32, &vec![vec![0]; to - from]));
    }
    pages.concat()
}

/// A page of short packets. `kind`: 2 for the first, 4 for the last.
fn ogg_page(kind: u8, position: u64, number: u32, packets: &[Vec<u8>]) -> Vec<u8> {
    let mut page = [b"OggS\0", &[kind][..], &position.to_le_bytes(), &[7, 0, 0, 0], &number.to_le_bytes(), &[0; 4]].concat();
    page.push(packets.len() as u8);
    page.extend(packets.iter().map(|packet| packet.len() as u8));
    page.extend(packets.concat());
    let crc = crc(&page, 32, 0x04c1_1db7).to_le_bytes();
    page[22..26].copy_from_slice(&crc);
    page
}
