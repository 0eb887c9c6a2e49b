"""`python -m tests.chaos`: restarts itself in a namespace before the slow imports."""

from tests.chaos.namespace import enter_namespace

if __name__ == "__main__":
    enter_namespace()
    from tests.chaos.run import main

    main()
