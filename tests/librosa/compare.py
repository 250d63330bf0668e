"""Compares the features of `reprise analyze` with librosa's, on sounds made here and on given files.

usage: compare.py REPRISE [FILE...]
"""

import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import soundfile

# Greatest difference: relative, but for the shares of energy. Cepstral coefficients lie around zero, so that theirs is relative
# to the greatest of the clip.
RELATIVE = {
    "energy": 0.001, "zero_crossing_rate": 0.001, "spectral_centroid": 0.003, "spectral_bandwidth": 0.01,
    "spectral_rolloff": 0.01, "spectral_flatness": 0.01, "spectral_contrast": 0.02, "chroma": 0.01, "bpm_reference": 1e-6,
}
ABSOLUTE = {"harmonic_ratio": 0.001}
# From 96 kHz the reference comes in several stages, and its top band, at the edge of the filter, is theirs. Below 22 kHz the upper
# bands are empty but for images of the sound some 130 dB below it, which are not rebuilt.
WIDER = {
    ("band_8000.wav", "spectral_contrast"): 0.09, ("band_16000.wav", "spectral_contrast"): 0.03,
    ("band_96000.wav", "spectral_contrast"): 0.025,
}
RELATIVE_TO_GREATEST = {"mfcc": 0.01}
# Beside digital silence the reference measures the rounding noise of its own resampler: its numbers move when the last bit of a
# sample does, and no two decoders agree in that. Where we differ by more than the limit, this many altered copies tell how far
# it is from itself; twice that is allowed, and never more than this.
COPIES = 5
MOST = 0.05


def synthesise(folder):
    rate, seconds = 44100, 12
    t = np.arange(rate * seconds) / rate
    hiss = np.random.default_rng(1).normal(0, 1, len(t))
    click = np.exp(-60 * (t % 0.5))
    chord = sum(np.sin(2 * np.pi * hz * h * t) / h**2 for hz in (220.0, 277.18, 329.63) for h in (1, 2, 3))
    glide = np.sin(2 * np.pi * (200 * t + 150 * t**2))
    sounds = {
        "noise": 0.2 * hiss,
        "beat": 0.3 * click * hiss + 0.002 * hiss,
        "chord": 0.1 * chord + 0.002 * hiss,
        "band": 0.1 * chord + 0.2 * click * hiss + 0.001 * hiss,
        "glide": 0.3 * glide + 0.002 * hiss,
    }
    for name, mono in sounds.items():
        stereo = np.stack([mono, np.roll(mono, 300)], axis=1)
        soundfile.write(f"{folder}/{name}.wav", stereo, rate, subtype="FLOAT")
    for other in (8000, 16000, 22050, 32000, 48000, 88200, 96000, 176400, 192000):
        soundfile.write(f"{folder}/band_{other}.wav", sounds["band"][: 12 * other], other, subtype="FLOAT")
    soundfile.write(f"{folder}/gaps.wav", np.where(t % 1.7 < 1.1, sounds["band"], 0), rate, subtype="FLOAT")
    return sorted(f"{folder}/{name}" for name in os.listdir(folder))


def differences(ours, theirs):
    for name, limit in {**RELATIVE, **ABSOLUTE, **RELATIVE_TO_GREATEST}.items():
        a, b = (np.atleast_1d(np.array(x.get(name) or 0.0, float)) for x in (ours, theirs))
        difference = np.abs(a - b)
        if name in RELATIVE:
            difference = difference / np.maximum(np.abs(b), 1e-12)
        elif name in RELATIVE_TO_GREATEST:
            difference = difference / np.abs(b).max()
        yield name, difference.max(), limit


def reference_features(files):
    program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "features.py")
    answer = subprocess.run([sys.executable, program, *files], stdout=subprocess.PIPE, check=True)
    return [json.loads(line) for line in answer.stdout.splitlines()]


def differences_from_itself(reference, folder):
    """By how much the reference's features move when the last bits of the samples do."""
    try:
        samples, rate = soundfile.read(reference["file"], dtype="float32")
    except soundfile.LibsndfileError:
        return {}
    copies = [f"{folder}/altered_{n}.wav" for n in range(COPIES)]
    for n, copy in enumerate(copies):
        last_bits = 2.0**-24 * np.random.default_rng(n).normal(0, 1, samples.shape)
        soundfile.write(copy, (samples * (1 + last_bits)).astype("float32"), rate, subtype="FLOAT")
    moved = {}
    for altered in reference_features(copies):
        for name, difference, _ in differences(altered, reference):
            moved[name] = max(difference, moved.get(name, 0.0))
    return moved


def compare(reprise, files, folder):
    answer = subprocess.run([reprise, "analyze", "--format", "json", *files], stdout=subprocess.PIPE, check=True)
    ours = {record["file"]: record for record in json.loads(answer.stdout)}
    worst, failures = {}, 0
    for reference in reference_features(files):
        moved = None
        for name, difference, limit in differences(ours[reference["file"]], reference):
            limit = WIDER.get((os.path.basename(reference["file"]), name), limit)
            worst.setdefault(name, []).append(difference)
            if difference <= limit:
                continue
            moved = differences_from_itself(reference, folder) if moved is None else moved
            own = moved.get(name, 0.0)
            undefined = difference <= min(2 * own, MOST)
            failures += not undefined
            print(f"{'undefined' if undefined else 'DIFFERS'} {name} of {reference['file']}: by {difference:.1e}, limit {limit:.0e}; librosa from itself: {own:.1e}")
    print(f"{len(ours)} files; greatest and median difference:")
    for name, found in worst.items():
        print(f"  {name:20} {max(found):.1e} {np.median(found):.1e}")
    return failures > 0


def main(reprise, files):
    with tempfile.TemporaryDirectory() as folder:
        return compare(reprise, synthesise(folder) + files, folder)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2:]))
