"""System A of the course: trains. All of it is in framecast/lab; python Trainer.py --help has the flags."""

from framecast.lab import trainer_main

if __name__ == "__main__":  # packing starts processes that read this file again
    trainer_main()
