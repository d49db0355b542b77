package launchd

import (
	"context"
	"os/exec"
	"strconv"
)

const caffeinate = "/usr/bin/caffeinate"

// KeepAwake keeps the Mac from falling asleep by itself while process pid runs, until release is called; a closed lid
// still sends it to sleep. The assertion is held by caffeinate, which ends with the process whatever becomes of that.
// An error says that nothing is held: the work goes on without.
func KeepAwake(ctx context.Context, pid int) (release func(), err error) {
	return keepAwake(ctx, caffeinate, pid)
}

func keepAwake(ctx context.Context, tool string, pid int) (release func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, tool, "-i", "-w", strconv.Itoa(pid))
	cmd.Dir = "/"
	if err := cmd.Start(); err != nil {
		cancel()
		return func() {}, err
	}
	return func() {
		cancel()
		_ = cmd.Wait() // killed: that is its end
	}, nil
}
