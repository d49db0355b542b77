package cli_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"maia-dr/engine"
	"maia-dr/engine/onedrive"
)

// testWorld is the part of the world that a script of the tests makes up with files: what OneDrive answers ($SYNC), the time
// that has passed ($CLOCK), what is evicted ($EVICTED). A file that is not there leaves that part as it is.
type testWorld struct{ sync, clock, evictedFile string }

func newTestWorld() testWorld {
	return testWorld{sync: os.Getenv("SYNC"), clock: os.Getenv("CLOCK"), evictedFile: os.Getenv("EVICTED")}
}

// passed is the time that the script and waiting let pass.
func passed(clock string) time.Duration {
	b, err := os.ReadFile(clock)
	if err != nil {
		return 0
	}
	d, err := time.ParseDuration(strings.TrimSpace(string(b)))
	if err != nil {
		panic(err)
	}
	return d
}

func addTime(clock string, d time.Duration) error {
	return os.WriteFile(clock, []byte((passed(clock) + d).String()), 0o600)
}

// env has a clock of awake time on which only the script and waiting let time pass.
func (w testWorld) env() engine.Env {
	env := engine.SystemEnv()
	env.Now = func() time.Time { return time.Now().Add(passed(w.clock)) }
	if w.sync != "" {
		env.Awake = func() time.Duration { return time.Hour + passed(w.clock) }
		env.Sleep = func(ctx context.Context, d time.Duration) error {
			return errors.Join(addTime(w.clock, d), ctx.Err())
		}
	}
	return env
}

// pass lets time pass, awake: pass DURATION.
func pass(ts *testscript.TestScript, _ bool, args []string) {
	d, err := time.ParseDuration(args[0])
	ts.Check(err)
	ts.Check(addTime(ts.Getenv("CLOCK"), d))
}

// evict says of the files that match the patterns that their content is in the cloud only: evict [PATTERN...].
func evict(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.WriteFile(ts.Getenv("EVICTED"), []byte(strings.Join(args, "\n")+"\n"), 0o600))
}

// lines returns the words of each line of a file; nil: there is none.
func lines(path string) [][]string {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		panic(err)
	}
	var out [][]string
	for line := range strings.Lines(string(b)) {
		if words := strings.Fields(line); len(words) > 0 {
			out = append(out, words)
		}
	}
	return out
}

// provider is a source that answers what the lines of $SYNC say: "PATTERN RUNG [CLASS]", of which the last that matches a
// file's last two names counts, and "health FIELD ANSWER".
func (w testWorld) provider() func(string) onedrive.Provider {
	if lines(w.sync) == nil {
		return nil
	}
	return func(string) onedrive.Provider { return &lineProvider{lines(w.sync)} }
}

type lineProvider struct{ lines [][]string }

func (*lineProvider) Name() string           { return "scripted" }
func (*lineProvider) Highest() onedrive.Rung { return onedrive.ClientUploaded }

func (p *lineProvider) Observe(_ context.Context, paths []string) ([]onedrive.Answer, error) {
	out := make([]onedrive.Answer, len(paths))
	for i, path := range paths {
		name := filepath.Base(filepath.Dir(path)) + "/" + filepath.Base(path)
		for _, words := range p.lines {
			if ok, err := filepath.Match(words[0], name); err != nil || !ok {
				continue
			}
			out[i] = onedrive.Answer{}
			if err := out[i].Rung.UnmarshalText([]byte(words[1])); err != nil {
				return nil, err
			}
			if len(words) > 2 {
				out[i].Class = onedrive.Class(words[2])
			}
		}
	}
	return out, nil
}

func (p *lineProvider) Health(context.Context) onedrive.Health {
	h := onedrive.Health{Running: onedrive.Yes}
	for _, words := range p.lines {
		if words[0] != "health" {
			continue
		}
		switch t := onedrive.Tri(words[2]); words[1] {
		case "running":
			h.Running = t
		case "signed_in":
			h.SignedIn = t
		}
	}
	return h
}

// helper is this test binary as the program.
func (w testWorld) helper() onedrive.Helper {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return onedrive.Helper{Path: self, Args: []string{"maia-dr", onedrive.HelperCommand}}
}

// evicted says of the files that match a line of $EVICTED that their content is in the cloud only.
func (w testWorld) evicted() func(string) bool {
	if w.evictedFile == "" {
		return nil
	}
	return func(path string) bool {
		for _, words := range lines(w.evictedFile) {
			if ok, err := filepath.Match(words[0], path); err == nil && ok {
				return true
			}
		}
		return false
	}
}
