package engine_test

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"time"
)

// memoryLimit bounds the memory that a process may write to, in units of 1024 bytes. A limit of its addresses would say little: Go's
// collector and each thread of the C library reserve far more of them than they use.
const memoryLimit = "ulimit -d 512000"

var highWater = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// runMeasured runs a command and returns the most memory that it had. What the kernel says of a child that has ended has
// the parent's in it.
func runMeasured(cmd *exec.Cmd) (peakBytes int64, err error) {
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case err := <-ended:
			return peakBytes, err
		case <-time.After(5 * time.Millisecond):
		}
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid)) // it may have ended
		if m := highWater.FindSubmatch(text); m != nil {
			n, _ := strconv.ParseInt(string(m[1]), 10, 64) // digits
			peakBytes = max(peakBytes, n<<10)
		}
	}
}
