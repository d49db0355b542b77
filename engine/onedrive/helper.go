package onedrive

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Helper is how this program starts itself as a child: what may crash (an Objective-C exception) or hang beyond cancelling
// (the read of a file that lies in the cloud only) happens there, where it can be killed.
type Helper struct {
	// Path is the program, Args its whole argument list, the name first.
	Path string
	Args []string
}

// HelperCommand is the command with which this program is its own helper.
const HelperCommand = "onedrive-helper"

// jobs of a helper.
const (
	jobObserve  = "observe"  // File Provider's keys of each path
	jobHash     = "hash"     // SHA-256 of each path, downloading nothing
	jobDownload = "download" // read each path to its end, downloading what is missing
)

// request is what a helper gets, as JSON on its standard input.
type request struct {
	Job   string   `json:"job"`
	Paths []string `json:"paths"`
}

// reply is a line of what a helper answers.
type reply struct {
	// Path is the number of the path it is about.
	Path int `json:"path"`
	// Done: nothing more comes about this path. Until then, Bytes tells how far it is.
	Done   bool   `json:"done"`
	Bytes  int64  `json:"bytes,omitempty"`
	SHA256 string `json:"sha256,omitempty"`
	Keys   *Keys  `json:"keys,omitempty"`
	Errno  int    `json:"errno,omitempty"`
	Error  string `json:"error,omitempty"`
}

// ErrNoHelper says that there is no program to start as a child.
var ErrNoHelper = errors.New("there is no helper program")

// errStalled says that a helper was killed because nothing came from it for too long.
var errStalled = errors.New("nothing came for too long")

// run starts a helper and gives its replies to each, in order. It is killed when ctx is over or nothing came for stall.
func (h Helper) run(ctx context.Context, req request, stall time.Duration, each func(reply) error) error {
	if h.Path == "" {
		return ErrNoHelper
	}
	in, err := json.Marshal(req)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(stall, func() { cancel(errStalled) })
	defer watchdog.Stop()
	cmd := exec.CommandContext(ctx, h.Path)
	cmd.Args, cmd.Stdin, cmd.WaitDelay = h.Args, strings.NewReader(string(in)), time.Second
	// It stays in the parent's process group: Ctrl-C ends both.
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start helper: %w", err)
	}
	lines := bufio.NewScanner(out)
	var eachErr error
	for eachErr == nil && lines.Scan() {
		watchdog.Reset(stall)
		var r reply
		if eachErr = json.Unmarshal(lines.Bytes(), &r); eachErr == nil && (r.Path < 0 || r.Path >= len(req.Paths)) {
			eachErr = fmt.Errorf("helper: there is no path %d", r.Path)
		}
		if eachErr == nil {
			eachErr = each(r)
		}
	}
	if eachErr == nil {
		eachErr = lines.Err()
	}
	if eachErr != nil {
		cancel(eachErr)
	}
	werr := cmd.Wait()
	switch {
	case errors.Is(context.Cause(ctx), errStalled):
		return errStalled
	case eachErr != nil && ctx.Err() == nil:
		return eachErr
	case eachErr != nil:
		return context.Cause(ctx)
	case ctx.Err() != nil:
		return ctx.Err()
	case werr != nil:
		return fmt.Errorf("run helper: %w", werr)
	}
	return nil
}

// maxCrashes is how many files may make the reader crash before it is given up.
const maxCrashes = 5

// keys asks for the keys of paths. A file on which the helper dies has a Problem, and the others are asked again.
func (h Helper) keys(ctx context.Context, paths []string, stall time.Duration) ([]Keys, error) {
	out := make([]Keys, len(paths))
	next, crashes := 0, 0
	for next < len(paths) {
		from := next
		err := h.run(ctx, request{Job: jobObserve, Paths: paths[from:]}, stall, func(r reply) error {
			if from+r.Path != next || r.Keys == nil {
				return errors.New("helper: replies out of order")
			}
			out[next] = *r.Keys
			next++
			return nil
		})
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, ErrNoHelper):
			return nil, err
		case next >= len(paths):
			return out, nil
		}
		// It ended or hung at this one.
		crashes++
		out[next].Problem = fmt.Sprintf("the reader of File Provider failed: %v", err)
		next++
		if crashes == maxCrashes || errors.Is(err, errStalled) {
			for ; next < len(paths); next++ {
				out[next].Problem = "the reader of File Provider failed too often, or does not answer"
			}
		}
	}
	return out, nil
}

// RunHelper is the child's side: it reads a request and answers it.
func RunHelper(in io.Reader, out io.Writer) error {
	var req request
	if err := json.NewDecoder(in).Decode(&req); err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	enc := json.NewEncoder(out)
	var do func(i int, path string) reply
	switch req.Job {
	case jobObserve:
		reader, err := newKeyReader()
		if err != nil {
			return err
		}
		do = func(i int, path string) reply { k := reader.read(path); return reply{Path: i, Keys: &k} }
	case jobHash, jobDownload:
		if err := setMaterialize(req.Job == jobDownload); err != nil {
			return err
		}
		do = func(i int, path string) reply { return readAll(enc, i, path) }
	default:
		return fmt.Errorf("there is no job %q", req.Job)
	}
	for i, path := range req.Paths {
		r := do(i, path)
		r.Done = true
		if err := enc.Encode(r); err != nil {
			return err
		}
	}
	return nil
}

// readAll reads a file to its end, and tells every few MB how far it is.
func readAll(enc *json.Encoder, i int, path string) reply {
	fail := func(err error) reply {
		r := reply{Path: i, Error: err.Error()}
		if errno, ok := errors.AsType[syscall.Errno](err); ok {
			r.Errno = int(errno)
		}
		return r
	}
	f, err := os.Open(path)
	if err != nil {
		return fail(err)
	}
	defer f.Close()
	sum := sha256.New()
	buf := make([]byte, 1<<20)
	var n int64
	for {
		k, err := f.Read(buf)
		sum.Write(buf[:k])
		n += int64(k)
		if errors.Is(err, io.EOF) {
			return reply{Path: i, Bytes: n, SHA256: hex.EncodeToString(sum.Sum(nil))}
		}
		if err != nil {
			return fail(err)
		}
		if err := enc.Encode(reply{Path: i, Bytes: n}); err != nil {
			return fail(err)
		}
	}
}
