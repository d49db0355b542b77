package engine_test

import (
	"os/exec"
	"syscall"
)

// memoryLimit is none: macOS knows no such limit for a process.
const memoryLimit = "true"

// runMeasured runs a command and returns the most memory that it had.
func runMeasured(cmd *exec.Cmd) (peakBytes int64, err error) {
	err = cmd.Run()
	if u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		peakBytes = u.Maxrss
	}
	return peakBytes, err
}
