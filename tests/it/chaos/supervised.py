"""keyferry as a service manager runs it: started again when it could not begin because a side was not to be reached at that moment."""

from bench.ferry import Ferry

NOT_REACHED = (4, 5)      # exit codes: the source, the target
BEGUN = "status at http"  # in the log, once both sides have been looked at
STARTS_MAX = 100          # in a row


class Supervised(Ferry):
    """A Ferry whose start may be in vain for a while. What has begun ends only when it is told to."""

    _from = 0
    _starts = 0

    def start(self, *more):
        self._from = len(self.log)
        return super().start(*more)

    def begun(self):
        return BEGUN in self.log[self._from:]

    def check_running(self, when=""):
        if not self.process.running and self.process.exit_code in NOT_REACHED and not self.begun() and self._starts < STARTS_MAX:
            self._starts += 1
            print(f"chaos: keyferry could not begin ({self.process.exit_code}); started again", flush=True)
            self.start()
        elif self.process.running and self.begun():
            self._starts = 0
        super().check_running(when)
