"""``python -m softdiv``, which launchers such as ``torchrun -m softdiv`` need."""

from softdiv.cli.main import main

if __name__ == "__main__":
    main()
