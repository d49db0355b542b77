package cli_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"maia-dr/engine/cli"
	"maia-dr/engine/fixture"
	"maia-dr/keychain"
	"maia-dr/launchd/systemd"
	"maia-dr/resources"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"maia-dr": func() { os.Exit(program()) }})
}

// program is main, but for a terminal: tests have none.
func program() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	w := newTestWorld()
	p := cli.Program{
		Env: w.env(), Provider: w.provider(), Helper: w.helper(), Evicted: w.evicted(), Version: "0.1.0-test", Script: resources.RestoreScript, Args: os.Args[1:],
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		OpenTTY:  func() (io.ReadWriteCloser, error) { return nil, errors.New("no terminal") },
		Keychain: testKeychain(), Executable: os.Getenv("MAIA_TEST_EXECUTABLE"), Scheduler: testScheduler,
	}
	if os.Getenv(useTerminal) != "" {
		system := cli.NewProgram(p.Env, os.Stdin, os.Stdout, os.Stderr)
		p.Terminal, p.OutTerminal, p.OpenTTY, p.ReadPassword = system.Terminal, system.OutTerminal, system.OpenTTY, system.ReadPassword
	}
	return cli.Run(ctx, p)
}

// useTerminal is the variable that gives the tests' maia-dr the terminal that it runs on.
const useTerminal = "MAIA_TEST_TERMINAL"

// testScheduler is systemd with a systemctl that is a file: "none" there is none, "off" no manager answers it; without
// the file it does what it is asked to.
func testScheduler(home string) cli.Scheduler {
	return systemd.Manager{Config: filepath.Join(home, ".config"), Run: func(_ context.Context, _ string, args ...string) (int, error) {
		switch b, _ := os.ReadFile(os.Getenv("MAIA_TEST_SYSTEMCTL")); strings.TrimSpace(string(b)) {
		case "none":
			return 0, os.ErrNotExist
		case "off":
			return 1, nil
		}
		return 0, nil
	}}
}

func memoryKeychain(string) keychain.Store { return keychain.NewMemory() }

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			// Not what a developer's own version managers put in front: each list of packages would take their shims seconds.
			own, _, _ := strings.Cut(env.Getenv("PATH"), string(filepath.ListSeparator))
			env.Setenv("PATH", strings.Join([]string{own, "/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"}, string(filepath.ListSeparator)))
			env.Setenv("HOME", filepath.Join(env.WorkDir, "mac", "Users", "naythan"))
			env.Setenv("ROOT", filepath.Join(env.WorkDir, "mac", "Users", "naythan", "git", "maia"))
			env.Setenv("TZ", noon(time.Now()))
			env.Setenv("MAIA_TEST_EXECUTABLE", filepath.Join(env.WorkDir, "opt", "maia-dr"))
			env.Setenv("MAIA_TEST_SYSTEMCTL", filepath.Join(env.WorkDir, "systemctl"))
			env.Setenv("STATE", filepath.Join(env.WorkDir, "state"))
			env.Setenv("MAIA_DR_STATE_DIR", filepath.Join(env.WorkDir, "state"))
			env.Setenv("SYNC", filepath.Join(env.WorkDir, "sync"))
			env.Setenv("CLOCK", filepath.Join(env.WorkDir, "clock"))
			env.Setenv("EVICTED", filepath.Join(env.WorkDir, "evicted"))
			env.Setenv("REPO", filepath.Join(env.WorkDir, "mac", "Users", "naythan", "Library", "CloudStorage", "OneDrive-Fixture", "MaiaBackups"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"fixture": makeFixture, "day": makeDay, "exits": exits, "flipbit": flipBit, "newer": newer, "locked": locked,
			"pass": pass, "evict": evict,
		},
	})
}

// noon is a time zone in which it is noon: no day of the schedule begins while a test runs.
func noon(now time.Time) string { return fmt.Sprintf("Etc/GMT%+d", now.UTC().Hour()-12) }

// makeFixture makes the small sample in $WORK/mac.
func makeFixture(ts *testscript.TestScript, _ bool, _ []string) {
	_, err := fixture.Make(context.Background(), fixture.Options{Base: ts.MkAbs("mac"), Seed: 3})
	ts.Check(err)
}

// makeDay applies the change of day N.
func makeDay(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	f, err := fixture.Open(ts.MkAbs("mac"))
	ts.Check(err)
	_, err = f.Day(context.Background(), n)
	ts.Check(err)
}

// exits runs maia-dr and requires one exit code: exits CODE ARGS...
func exits(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec("maia-dr", args[1:]...)
	code := 0
	var ee interface{ ExitCode() int }
	if errors.As(err, &ee) {
		code = ee.ExitCode()
	} else {
		ts.Check(err)
	}
	if want := args[0]; fmt.Sprint(code) != want {
		ts.Fatalf("maia-dr %s exited with %d, want %s", strings.Join(args[1:], " "), code, want)
	}
}

// flipBit flips one bit in the middle of the largest file that matches a pattern.
func flipBit(ts *testscript.TestScript, _ bool, args []string) {
	matches, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	largest, size := "", int64(-1)
	for _, m := range matches {
		if fi, err := os.Stat(m); err == nil && fi.Size() > size {
			largest, size = m, fi.Size()
		}
	}
	b, err := os.ReadFile(largest)
	ts.Check(err)
	b[len(b)/2] ^= 4
	ts.Check(os.WriteFile(largest, b, 0o600))
}

// newer makes a JSON file say that it has a format nobody knows yet.
func newer(ts *testscript.TestScript, _ bool, args []string) {
	b, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	changed := strings.Replace(string(b), `"format": 1`, `"format": 9`, 1)
	if changed == string(b) {
		ts.Fatalf("%s has no format", args[0])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(changed), 0o600))
}

// locked is exits while another process holds a lock: locked FILE CODE ARGS...
func locked(ts *testscript.TestScript, _ bool, args []string) {
	file, err := os.OpenFile(ts.MkAbs(args[0]), os.O_RDWR, 0)
	ts.Check(err)
	defer file.Close()
	ts.Check(syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB))
	exits(ts, false, args[1:])
}
