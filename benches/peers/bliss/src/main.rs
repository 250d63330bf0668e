//! Analyses the files named on the command line with bliss-audio, one after the other.

use bliss_audio::decoder::{Decoder, symphonia::SymphoniaDecoder};

fn main() {
    for path in std::env::args().skip(1) {
        match SymphoniaDecoder::song_from_path(&path) {
            Ok(song) => println!("{path} {:?}", song.analysis.as_vec()),
            Err(error) => eprintln!("{path}: {error}"),
        }
    }
}
