"""Measures the peers on the same clips, in turns. usage: measure.py REPRISE BLISS CLIP..."""

import json
import os
import resource
import statistics
import subprocess
import sys

ROUNDS = 5
FEATURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tests/librosa/features.py")


def cpu_s(command):
    """CPU seconds of a process, its start included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main(reprise, bliss, clips):
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(cpu_s([reprise, "analyze", "--jobs", "1", *clips]) / len(clips))
        theirs.append(cpu_s([bliss, *clips]) / len(clips))
    lines = subprocess.run([sys.executable, FEATURES, *clips], stdout=subprocess.PIPE, check=True).stdout.splitlines()
    found = {
        "reprise": statistics.median(ours),
        "bliss-audio 0.13": statistics.median(theirs),
        "librosa 0.10.0": statistics.median(json.loads(line)["cpu_s"] for line in lines),
    }
    print(f"{len(clips)} clips; CPU seconds a clip:")
    for name, seconds in found.items():
        print(f"  {name:18} {seconds:7.4f}  {1 / seconds:6.2f} clips/s  {seconds / found['reprise']:5.1f} x reprise's time")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
