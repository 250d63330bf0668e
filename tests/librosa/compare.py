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
# Where sound meets digital silence, crossings are those of rounding noise: alike in level and spectrum, not bit by bit. From 96 kHz
# the reference comes in several stages, and its top band, at the edge of the filter, is theirs.
WIDER = {
    ("gaps.wav", "zero_crossing_rate"): 0.02, ("gaps.wav", "chroma"): 0.05,
    ("band_96000.wav", "spectral_contrast"): 0.025,
}
RELATIVE_TO_GREATEST = {"mfcc": 0.01}


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
    for other in (22050, 48000, 88200, 96000, 176400, 192000):
        soundfile.write(f"{folder}/band_{other}.wav", sounds["band"], other, subtype="FLOAT")
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


def main(reprise, files):
    here = os.path.dirname(os.path.abspath(__file__))
    with tempfile.TemporaryDirectory() as folder:
        files = synthesise(folder) + files
        answer = subprocess.run([reprise, "analyze", "--format", "json", *files], stdout=subprocess.PIPE, check=True)
        theirs = subprocess.run([sys.executable, f"{here}/features.py", *files], stdout=subprocess.PIPE, check=True)
    ours = {record["file"]: record for record in json.loads(answer.stdout)}
    worst, failures = {}, 0
    for line in theirs.stdout.splitlines():
        reference = json.loads(line)
        for name, difference, limit in differences(ours[reference["file"]], reference):
            limit = WIDER.get((os.path.basename(reference["file"]), name), limit)
            worst.setdefault(name, []).append(difference)
            if not difference <= limit:
                failures += 1
                print(f"DIFFERS {name} of {reference['file']}: by {difference:.2e}, limit {limit:.0e}")
    print(f"{len(ours)} files; greatest and median difference:")
    for name, found in worst.items():
        print(f"  {name:20} {max(found):.1e} {np.median(found):.1e}")
    return failures > 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2:]))
