package launchd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"maia-dr/packaging/ci/faults/matrix"
)

const (
	agentFile = "/Users/kim/Library/LaunchAgents/com.maia.x y.plist"
	service   = "gui/501/com.maia.x"
)

// fake records what is run and answers with exit codes: the n-th call of a tool or a verb gets its n-th one, the last
// for ever.
type fake struct {
	exits map[string][]int
	fails map[string]error
	calls []string
}

func (f *fake) run(ctx context.Context, name string, args ...string) (int, error) {
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	f.calls = append(f.calls, name+" "+strings.Join(args, " "))
	key := name
	if name == launchctl {
		key = args[0]
	}
	if err := f.fails[key]; err != nil {
		return 0, err
	}
	left := f.exits[key]
	if len(left) == 0 {
		return 0, nil
	}
	if len(left) > 1 {
		f.exits[key] = left[1:]
	}
	return left[0], nil
}

func (f *fake) count(verb string) (n int) {
	for _, c := range f.calls {
		if strings.HasPrefix(c, launchctl+" "+verb) {
			n++
		}
	}
	return n
}

func TestLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{exits: map[string][]int{xattr: {1}, "bootout": {0}, "print": {0, 0, 113}, "bootstrap": {5, 0}}}
		if err := Load(t.Context(), f.run, 501, agentFile, "com.maia.x"); err != nil {
			t.Fatal(err)
		}
		want := []string{
			xattr + " -d com.apple.quarantine " + agentFile, plutil + " -lint -s " + agentFile,
			"/bin/launchctl enable " + service, "/bin/launchctl bootout " + service,
			"/bin/launchctl print " + service, "/bin/launchctl print " + service, "/bin/launchctl print " + service,
			"/bin/launchctl bootstrap gui/501 " + agentFile, "/bin/launchctl bootstrap gui/501 " + agentFile,
		}
		if !slices.Equal(f.calls, want) {
			t.Errorf("it ran\n%s\nwant\n%s", strings.Join(f.calls, "\n"), strings.Join(want, "\n"))
		}
	})
}

// Each code at each step leads to its own error, or to none, and nothing is run after an error.
func TestLoadCodes(t *testing.T) {
	faults := matrix.Of(t, "27")
	for _, c := range []struct {
		step string
		exit int
		want error
	}{
		{xattr, 0, nil}, {xattr, 1, nil},
		{plutil, 1, ErrPlist},
		{"enable", 1, ErrRefused}, {"enable", 125, ErrNoDesktop},
		{"bootout", 3, nil}, {"bootout", 36, nil}, {"bootout", 113, nil}, {"bootout", 5, ErrBusy}, {"bootout", 122, ErrOwner},
		{"bootout", 125, ErrNoDesktop}, {"bootout", 1, ErrRefused},
		{"print", 0, ErrBusy}, {"print", 113, nil}, {"print", 1, nil}, {"print", 125, ErrNoDesktop},
		{"bootstrap", 0, nil}, {"bootstrap", 37, nil}, {"bootstrap", 5, ErrBusy}, {"bootstrap", 119, ErrDisabled}, {"bootstrap", 122, ErrOwner},
		{"bootstrap", 125, ErrNoDesktop}, {"bootstrap", 112, ErrRefused}, {"bootstrap", -1, ErrRefused},
	} {
		faults.Inject()
		synctest.Test(t, func(t *testing.T) {
			f := &fake{exits: map[string][]int{"print": {113}}}
			f.exits[c.step] = []int{c.exit}
			began := time.Now()
			err := Load(t.Context(), f.run, 501, agentFile, "com.maia.x")
			if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
				t.Errorf("%s ends with %d: %v, want %v", c.step, c.exit, err, c.want)
			}
			if err != nil && (len(err.Error()) < 30 || !strings.Contains(err.Error(), "com.maia.x")) {
				t.Errorf("%s ends with %d: %q says little", c.step, c.exit, err)
			}
			if took := time.Since(began); took > 3*time.Minute {
				t.Errorf("%s ends with %d: it took %v", c.step, c.exit, took)
			}
			last := f.calls[len(f.calls)-1]
			if c.want != nil && !strings.Contains(last, c.step) || c.want == nil && !strings.Contains(last, "bootstrap") {
				t.Errorf("%s ends with %d, and the last call was %s", c.step, c.exit, last)
			}
			if n := f.count("bootstrap"); c.step == "bootstrap" && c.exit == 5 && n != attempts {
				t.Errorf("%d attempts", n)
			}
		})
	}
}

// A tool that cannot be run ends it, but for a missing xattr.
func TestLoadWithoutTools(t *testing.T) {
	gone := fmt.Errorf("run it: %w", fs.ErrNotExist)
	other := errors.New("something else")
	for _, step := range []string{xattr, plutil, "enable", "bootout", "print", "bootstrap"} {
		for _, fails := range []error{gone, other} {
			f := &fake{exits: map[string][]int{"print": {113}}, fails: map[string]error{step: fails}}
			err := Load(t.Context(), f.run, 501, agentFile, "com.maia.x")
			if step == xattr && errors.Is(fails, gone) {
				if err != nil {
					t.Errorf("without xattr: %v", err)
				}
			} else if !errors.Is(err, fails) {
				t.Errorf("%s: %v", step, err)
			}
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	faults := matrix.Of(t, "27")
	f := new(fake)
	for _, label := range []string{"", "a/b", "a\nb", "a\x00"} {
		faults.Inject()
		if err := Load(t.Context(), f.run, 501, agentFile, label); !errors.Is(err, ErrLabel) {
			t.Errorf("%q: %v", label, err)
		}
	}
	if err := Load(t.Context(), f.run, 501, "x.plist", "x"); !errors.Is(err, fs.ErrInvalid) || len(f.calls) > 0 {
		t.Errorf("%v, and it ran %v", err, f.calls)
	}
}

// Who waits for an agent to end can be cancelled.
func TestLoadCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, exits := range []map[string][]int{{"print": {0}}, {"print": {113}, "bootstrap": {5}}} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			err := Load(ctx, (&fake{exits: exits}).run, 501, agentFile, "com.maia.x")
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v: %v", exits, err)
			}
		}
	})
}

func TestRun(t *testing.T) {
	if exit, err := Run(t.Context(), "/bin/sh", "-c", "echo noise; exit 113"); exit != 113 || err != nil {
		t.Errorf("%d, %v", exit, err)
	}
	if exit, err := Run(t.Context(), "/bin/sh", "-c", "kill -9 $$"); exit != -1 || err != nil {
		t.Errorf("killed: %d, %v", exit, err)
	}
	if _, err := Run(t.Context(), "/no/such/tool"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if _, err := Run(t.Context(), "no-such-tool-at-all"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, "/bin/sh", "-c", "sleep 60"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if Supported != (runtime.GOOS == "darwin") {
		t.Errorf("supported: %v", Supported)
	}
}
