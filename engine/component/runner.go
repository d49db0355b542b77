package component

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Runner runs a tool and returns what it wrote to standard output. name is a path or, without a slash, looked up.
// A tool that is not there is an error matching exec.ErrNotFound or fs.ErrNotExist; one that ends with another status
// than 0 is any other error. It is called from several goroutines.
type Runner func(ctx context.Context, name string, args ...string) (stdout []byte, err error)

// DefaultTimeout is how long a tool may take.
const DefaultTimeout = 2 * time.Minute

// Limits of a tool's output.
const (
	maxOutput  = 64 << 20
	maxComment = 4 << 10 // of standard error
)

// errOutput says that a tool wrote more than any list of packages has.
var errOutput = errors.New("it wrote too much")

// NewRunner returns the real Runner. Tools run in a session of their own, so that nothing can ask on the terminal and
// all that they start can be killed; in the root directory, so that no file of the user's is taken for a module; and
// with an environment made here, so that they write nothing beside the source, update nothing, contact nobody and see
// no variable of ours but HOME, the user's name, the search path, the temporary directory and the language.
func NewRunner(home string, getenv func(string) string) Runner {
	env := cleanEnvironment(home, getenv)
	search := filepath.SplitList(getenv("PATH"))
	return func(ctx context.Context, name string, args ...string) ([]byte, error) {
		path, err := lookUp(name, search)
		if err != nil {
			return nil, fmt.Errorf("run %s: %w", name, err)
		}
		return run(ctx, path, args, env)
	}
}

func cleanEnvironment(home string, getenv func(string) string) []string {
	env := []string{
		"HOME=" + home, "LC_ALL=C", "PYTHONIOENCODING=utf-8", "PYTHONDONTWRITEBYTECODE=1",
		"PIP_DISABLE_PIP_VERSION_CHECK=1", "PIP_NO_INPUT=1", "NO_COLOR=1",
		"HOMEBREW_NO_AUTO_UPDATE=1", "HOMEBREW_NO_ANALYTICS=1", "HOMEBREW_NO_ENV_HINTS=1", "HOMEBREW_NO_COLOR=1",
		"NONINTERACTIVE=1",
		"GIT_OPTIONAL_LOCKS=0", "GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=false", "SSH_ASKPASS=false", "GIT_NO_LAZY_FETCH=1",
		"GIT_ALLOW_PROTOCOL=none", "GIT_PAGER=cat", "GIT_EDITOR=false",
	}
	for _, name := range []string{"PATH", "USER", "LOGNAME", "TMPDIR", "DEVELOPER_DIR"} {
		if v := getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// lookUp finds a tool in the search path. Not exec.LookPath: the path is the one that was given.
func lookUp(name string, search []string) (string, error) {
	if strings.Contains(name, "/") {
		// Starting what is not there would cost a process.
		if filepath.IsAbs(name) && errors.Is(unix.Access(name, unix.X_OK), fs.ErrNotExist) {
			return "", fs.ErrNotExist
		}
		return name, nil
	}
	for _, dir := range search {
		if !filepath.IsAbs(dir) {
			continue
		}
		path := filepath.Join(dir, name)
		if unix.Access(path, unix.X_OK) == nil {
			return path, nil
		}
	}
	return "", exec.ErrNotFound
}

func run(ctx context.Context, path string, args, env []string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, DefaultTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	stdout, stderr := &limited{max: maxOutput, fail: true}, &limited{max: maxComment}
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = env, "/", stdout, stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	// A child that outlives the tool and holds its output open is not waited for.
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	tool := filepath.Base(path)
	switch {
	case stdout.over:
		return nil, fmt.Errorf("run %s: %w", tool, errOutput)
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		return stdout.buf.Bytes(), nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, fmt.Errorf("run %s: it took too long: %w", tool, context.DeadlineExceeded)
	case ctx.Err() != nil:
		return nil, fmt.Errorf("run %s: %w", tool, ctx.Err())
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("run %s: %w", tool, fs.ErrNotExist)
	}
	if comment := firstLine(stderr.buf.Bytes()); comment != "" {
		return nil, fmt.Errorf("run %s: %w: %s", tool, err, comment)
	}
	return nil, fmt.Errorf("run %s: %w", tool, err)
}

// firstLine returns what a tool complained of, without addresses' passwords and control characters.
func firstLine(b []byte) string {
	line, _, _ := bytes.Cut(bytes.TrimSpace(b), []byte("\n"))
	line = RedactURLs(line[:min(len(line), 200)])
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, strings.ToValidUTF8(string(line), "?"))
}

// limited keeps the first bytes written to it. Beyond them it fails, so that who writes more is told by its pipe, or
// forgets.
type limited struct {
	buf  bytes.Buffer
	max  int
	fail bool
	over bool
}

func (l *limited) Write(p []byte) (int, error) {
	room := min(len(p), l.max-l.buf.Len())
	l.buf.Write(p[:room])
	if room < len(p) && l.fail {
		l.over = true
		return room, errOutput
	}
	return len(p), nil
}
