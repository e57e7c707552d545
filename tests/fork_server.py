"""Runs odekit's command line in forks of one process that has loaded it: a run costs a tenth of a second, not three.

The program reads lines of JSON, each a list of command lines that start together, and answers with their process ids,
then with their exit codes (negative: the signal that killed it). What they print goes to a file.
"""

import json
import os
import subprocess
import sys
from pathlib import Path


class ForkServer:
    """Starts the program; `start` begins runs, `wait` returns their exit codes."""

    def __init__(self, printed: Path) -> None:
        self.printed = printed
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, __file__, str(printed)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=environment,
        )  # fmt: skip
        assert self._answer() == "ready"

    def start(self, *commands):
        """Begin runs together; their process ids."""
        lines = [[str(word) for word in command] for command in commands]
        self.process.stdin.write(json.dumps(lines) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def wait(self):
        """Exit codes of the runs begun last."""
        return self._answer()

    def run(self, *commands):
        """Exit codes of runs that start together."""
        self.start(*commands)
        return self.wait()

    def _answer(self):
        line = self.process.stdout.readline()
        assert line, "the server died"
        return json.loads(line)

    def close(self):
        """End the program."""
        self.process.stdin.close()
        self.process.wait(60)


def serve(printed: str) -> None:
    """Main loop of the program."""
    import odekit.chains.session
    import odekit.parts.priors.exact
    import odekit.parts.stages.restore
    import odekit.runs.runner  # noqa: F401
    from odekit.cli import main
    from odekit.parts.installed import catalog

    catalog()
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    log = os.open(printed, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.dup2(log, 1)
    os.dup2(log, 2)
    answers.write('"ready"\n')
    for line in sys.stdin:
        children = []
        for command in json.loads(line):
            child = os.fork()
            if child == 0:
                answers.close()
                sys.argv = ["odekit", *command]
                code = 1
                try:
                    main()
                    code = 0
                except SystemExit as end:
                    code = int(end.code or 0)
                except BaseException:
                    import traceback

                    traceback.print_exc()
                finally:
                    sys.stdout.flush()
                    sys.stderr.flush()
                    os._exit(code)
            children.append(child)
        answers.write(json.dumps(children) + "\n")
        answers.write(json.dumps([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]) + "\n")


if __name__ == "__main__":
    serve(sys.argv[1])
