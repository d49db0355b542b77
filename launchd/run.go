package launchd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"time"
)

// toolLimit is how long one call of a tool may take.
const toolLimit = 30 * time.Second

// Run is the Runner that runs. What the tool writes is thrown away. A tool that is not there is fs.ErrNotExist.
func Run(ctx context.Context, name string, args ...string) (exit int, err error) {
	ctx, cancel := context.WithTimeout(ctx, toolLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.WaitDelay = "/", time.Second
	err = cmd.Run()
	var status *exec.ExitError
	switch {
	case ctx.Err() != nil:
		err = ctx.Err()
	case err == nil, errors.Is(err, exec.ErrWaitDelay), errors.As(err, &status):
		return cmd.ProcessState.ExitCode(), nil
	case errors.Is(err, exec.ErrNotFound):
		err = errors.Join(fs.ErrNotExist, err)
	}
	return 0, fmt.Errorf("run %s: %w", filepath.Base(name), err)
}
