"""The features of files as librosa computes them, a JSON object a line, with the CPU seconds each took."""

import json
import sys
import time
import warnings

import librosa
import numpy as np

warnings.filterwarnings("ignore")


def core(path):
    """What the database holds of librosa's definition."""
    y, sr = librosa.load(path)
    tempo, _ = librosa.beat.beat_track(y=y, sr=sr)
    found = {
        "bpm_reference": float(tempo),
        "energy": librosa.feature.rms(y=y).mean(),
        "zero_crossing_rate": librosa.feature.zero_crossing_rate(y).mean(),
        "spectral_centroid": librosa.feature.spectral_centroid(y=y, sr=sr).mean(),
    }
    harmonic, percussive = (np.sum(np.square(part, dtype=np.float64)) for part in librosa.effects.hpss(y))
    found["harmonic_ratio"] = harmonic / (harmonic + percussive) if harmonic + percussive > 0 else None
    return y, sr, found


def further(y, sr):
    return {
        "spectral_bandwidth": librosa.feature.spectral_bandwidth(y=y, sr=sr).mean(),
        "spectral_rolloff": librosa.feature.spectral_rolloff(y=y, sr=sr).mean(),
        "spectral_flatness": librosa.feature.spectral_flatness(y=y).mean(),
        "spectral_contrast": librosa.feature.spectral_contrast(y=y, sr=sr).mean(axis=1).tolist(),
        "chroma": librosa.feature.chroma_stft(y=y, sr=sr).mean(axis=1).tolist(),
        "mfcc": librosa.feature.mfcc(y=y, sr=sr).mean(axis=1).tolist(),
    }


def main(paths):
    core(paths[0])  # Compiles what librosa compiles on first use.
    for path in paths:
        start = time.process_time()
        y, sr, found = core(path)
        cpu_s = time.process_time() - start
        found.update(further(y, sr))
        print(json.dumps({"file": path, "cpu_s": cpu_s, **found}, default=float), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
