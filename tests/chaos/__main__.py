"""`python -m tests.chaos`. Begins anew in a namespace before it loads what takes seconds."""

from tests.chaos.namespace import enter_namespace

if __name__ == "__main__":
    enter_namespace()
    from tests.chaos.run import main

    main()
