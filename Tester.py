"""System A of the course: predicts the test sequences. All of it is in framecast/lab; python Tester.py --help."""

from framecast.lab import tester_main

if __name__ == "__main__":
    tester_main()
