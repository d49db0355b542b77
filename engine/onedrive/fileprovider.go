package onedrive

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	// keysLimit is how long File Provider may take for one file, evaluateLimit fileproviderctl.
	keysLimit     = 20 * time.Second
	evaluateLimit = 5 * time.Second
	// maxEvaluated is how many files are asked about with fileproviderctl in one look, each in a process of its own.
	maxEvaluated = 20
)

// FileProvider is the source of a folder that macOS's File Provider keeps: what OneDrive itself reports. Files that NSURL
// says nothing about are asked about with fileproviderctl.
type FileProvider struct {
	Helper Helper
	// Run runs a tool and returns the beginning of what it writes; nil: the real one.
	Run func(ctx context.Context, name string, args ...string) ([]byte, error)
	// toolLimit is how long one call of a tool may take; 0: evaluateLimit.
	toolLimit time.Duration

	// signedOut, full and offline are what errors of the last look told of OneDrive.
	signedOut, full, offline bool
}

// Name implements Provider.
func (*FileProvider) Name() string { return "File Provider" }

// Highest implements Provider.
func (*FileProvider) Highest() Rung { return ClientUploaded }

// Observe implements Provider.
func (p *FileProvider) Observe(ctx context.Context, paths []string) ([]Answer, error) {
	p.signedOut, p.full, p.offline = false, false, false
	keys, err := p.Helper.keys(ctx, paths, keysLimit)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	out := make([]Answer, len(paths))
	evaluated := 0
	for i := range paths {
		if err != nil {
			out[i].Detail = err.Error()
		} else {
			out[i] = keys[i].Answer()
			p.note(keys[i], out[i])
		}
		if out[i].Rung == Unknown && out[i].Class == "" && evaluated < maxEvaluated {
			evaluated++
			a, hung := p.evaluate(ctx, paths[i])
			if a.Rung > Unknown {
				out[i] = a
			} else {
				out[i].Detail += "; " + a.Detail
			}
			if hung {
				// It would for every file, and there would be no time left for what is known.
				evaluated = maxEvaluated
			}
		}
	}
	return out, ctx.Err()
}

// note keeps what an answer about a file tells of OneDrive itself.
func (p *FileProvider) note(k Keys, a Answer) {
	p.signedOut = p.signedOut || a.Class == SignedOut
	p.full = p.full || a.Class == Quota
	p.offline = p.offline || unreachable[k.ErrorDomain][k.ErrorCode]
}

// evaluate asks fileproviderctl about one file. hung: it did not answer in time.
func (p *FileProvider) evaluate(ctx context.Context, path string) (a Answer, hung bool) {
	fi := regular(path)
	if fi == nil || !askable(path) {
		return Answer{Detail: "fileproviderctl: its name cannot be asked about"}, false
	}
	ctx, cancel := p.limited(ctx)
	defer cancel()
	out, err := p.run(ctx, "/usr/bin/fileproviderctl", "evaluate", path)
	if err != nil {
		return Answer{Detail: "fileproviderctl: " + err.Error()}, errors.Is(err, context.DeadlineExceeded)
	}
	return parseEvaluate(out, fi.Size()), false
}

func (p *FileProvider) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	limit := p.toolLimit
	if limit == 0 {
		limit = evaluateLimit
	}
	return context.WithTimeout(ctx, limit)
}

// Health implements Provider. What is signed in, or how much room there is, File Provider tells only by the errors of
// files.
func (p *FileProvider) Health(ctx context.Context) Health {
	h := Health{}
	ctx, cancel := p.limited(ctx)
	defer cancel()
	if out, err := p.run(ctx, "/bin/ps", "-xww", "-o", "comm="); err == nil {
		h.Running = oneDriveRuns(out)
	}
	if p.signedOut {
		h.SignedIn = No
	}
	if p.full {
		h.QuotaLeft = No
	}
	if p.offline {
		h.Reachable = No
	}
	return h
}

func (p *FileProvider) run(ctx context.Context, name string, args ...string) ([]byte, error) {
	if p.Run != nil {
		return p.Run(ctx, name, args...)
	}
	return RunTool(ctx, name, args...)
}

// maxTool is how much of what a tool writes is read: the list of programs is the longest.
const maxTool = 4 << 20

// RunTool runs a tool of the system and returns what it writes, at most 4 MB of it; a tool that writes more is killed.
// That it ends well proves nothing.
func RunTool(ctx context.Context, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var out capped
	cmd.Dir, cmd.Stdout, cmd.WaitDelay = "/", &out, time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	err := cmd.Run()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	return out.b.Bytes(), nil
}

// capped keeps what is written to it up to maxTool bytes, and then fails.
type capped struct{ b bytes.Buffer }

func (c *capped) Write(p []byte) (int, error) {
	if c.b.Len()+len(p) > maxTool {
		return 0, syscall.EFBIG
	}
	return c.b.Write(p)
}

// inCloudStorage reports whether a folder is one that File Provider keeps.
func inCloudStorage(folder string) bool {
	real, err := filepath.EvalSymlinks(folder)
	if err != nil {
		return false
	}
	return strings.Contains(real+string(os.PathSeparator), "/Library/CloudStorage/OneDrive")
}
