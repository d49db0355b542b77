package engine_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"maia-dr/engine"
	"maia-dr/engine/cli"
	"maia-dr/engine/fixture"
	"maia-dr/engine/fsx"
	"maia-dr/engine/onedrive"
	"maia-dr/engine/vault"
	"maia-dr/keychain"
	"maia-dr/resources"
)

// What dies, and what writes while a backup runs, are other processes, as in life. They are this test binary, run
// again with its orders in this variable.
const childVariable = "ENGINE_TEST_CHILD"

// orders are what a child is to do.
type orders struct {
	Mac mac
	// Verb is backup, verify, prune, restore, drill, export, or one of the writers: tickets, bank.
	Verb string
	// Backup and To are for restore and export; Archives is how to export. Path is a writer's database.
	Backup, To, Path string
	// Home has agents and shell files restored there, and nothing else, with the password of the tests.
	Home            string
	Adopt, Archives bool
	// KillAt is the call of fsx, counted from 1, before which the child kills itself; 0: it lives.
	KillAt int64
	// Gate: wait until standard input ends. Clock runs instead of standing still.
	Gate, Clock bool
	// Args are a command line; Verb is then not looked at, and the exit code is the answer.
	Args []string
}

// answer is what a child that lived came to.
type answer struct {
	Code     engine.Code // empty: done
	Error    string
	BackupID string
	// Calls are all calls of fsx, as "op path".
	Calls []string
	// Steps is a writer's number of transactions.
	Steps int
}

// downloader is the name under which this program is the engine's helper.
const downloader = "maia-dr-test-helper"

// helper is the engine's helper, which downloads.
func helper(t testing.TB) onedrive.Helper {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return onedrive.Helper{Path: self, Args: []string{downloader}}
}

func TestMain(m *testing.M) {
	if os.Args[0] == downloader {
		if err := onedrive.RunHelper(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "helper:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if text := os.Getenv(childVariable); text != "" {
		var o orders
		if err := json.Unmarshal([]byte(text), &o); err != nil {
			fmt.Fprintln(os.Stderr, "child:", err)
			os.Exit(1)
		}
		debug.SetGCPercent(400)
		if o.Gate {
			io.Copy(io.Discard, os.Stdin) // however it ends, it has ended
		}
		if len(o.Args) > 0 {
			os.Exit(cli.Run(context.Background(), cli.Program{
				Env: engine.SystemEnv(), Version: "0.1.0-test", Script: resources.RestoreScript, Args: o.Args,
				In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
				Keychain: func(string) keychain.Store { return keychain.NewMemory() },
			}))
		}
		if err := json.NewEncoder(os.Stdout).Encode(o.run()); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	flag.Parse()
	debug.SetGCPercent(400) // there is memory, and little else
	// Thousands of durable writes: where there is memory for them, no test waits for somebody else's disk.
	const memory = "/dev/shm"
	if n, err := fsx.FreeBytes(memory); err == nil && n > 2<<30 && flag.Lookup("test.bench").Value.String() == "" {
		os.Setenv("TMPDIR", memory)
	}
	code := m.Run()
	for _, dir := range []string{master.base, built.dir} {
		if dir != "" {
			os.RemoveAll(dir)
		}
	}
	os.Exit(code)
}

func (o orders) run() (a answer) {
	var mu sync.Mutex
	var calls atomic.Int64
	fsys := &fsx.FS{Fault: func(op fsx.Op, path string) error {
		n := calls.Add(1)
		mu.Lock()
		a.Calls = append(a.Calls, string(op)+" "+path)
		mu.Unlock()
		if n == o.KillAt {
			fmt.Fprintf(os.Stderr, "%s %s\n", op, path)
			// Nothing after this is seen: the signal cannot be caught.
			_ = unix.Kill(os.Getpid(), unix.SIGKILL)
			select {}
		}
		return nil
	}}
	began := time.Now()
	now := func() time.Time { return o.Mac.Clock }
	if o.Clock {
		now = func() time.Time { return o.Mac.Clock.Add(time.Since(began)) }
	}
	id, steps, err := o.do(context.Background(), o.Mac.engine(now, fsys, nil))
	a.BackupID, a.Steps = id, steps
	if err != nil {
		a.Code, a.Error = engine.CodeOf(err), err.Error()
	}
	return a
}

func (o orders) do(ctx context.Context, e *engine.Engine) (id string, steps int, err error) {
	switch o.Verb {
	case "backup":
		res, err := e.Backup(ctx, engine.BackupOptions{NoVault: true, Adopt: o.Adopt})
		if err != nil {
			return "", 0, err
		}
		return res.BackupID, 0, nil
	case "verify":
		res, err := e.Verify(ctx, engine.VerifyOptions{All: true})
		if err == nil && !res.OK() {
			err = fmt.Errorf("not whole: %+v", res)
		}
		return "", 0, err
	case "prune":
		_, err := e.Prune(ctx, engine.PruneOptions{})
		return "", 0, err
	case "restore":
		opt := engine.RestoreOptions{Backup: o.Backup, To: o.To, TargetHome: o.Home}
		if o.Home != "" {
			opt.Only = []string{"launchagents", "shell_configs"}
			opt.Password = func(context.Context, int, int) (vault.Password, error) {
				return vault.NewPassword([]byte(testPassword))
			}
		}
		res, err := e.Restore(ctx, opt)
		if err == nil && len(res.Failed)+len(res.Doubtful) > 0 {
			err = fmt.Errorf("failed %q, doubtful %q", res.Failed, res.Doubtful)
		}
		return o.Backup, 0, err
	case "drill":
		res, err := e.Drill(ctx, engine.DrillOptions{})
		if err == nil && !res.Passed {
			err = fmt.Errorf("not whole: %q", res.Problems)
		}
		return "", 0, err
	case "export":
		_, err := e.Export(ctx, engine.ExportOptions{Backup: o.Backup, Dir: o.To, Archives: o.Archives})
		return o.Backup, 0, err
	case "tickets", "bank":
		steps, err := o.write(ctx)
		return "", steps, err
	}
	return "", 0, fmt.Errorf("no verb %q", o.Verb)
}

// child is a running child.
type child struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout io.ReadCloser
	stderr bytes.Buffer
}

func start(t testing.TB, o orders) *child {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{cmd: exec.Command(self)}
	c.cmd.Env = append(os.Environ(), childVariable+"="+string(text))
	c.cmd.Stderr = &c.stderr
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if c.stdout, err = c.cmd.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if c.cmd.ProcessState == nil { // the test gave up before it waited
			c.cmd.Process.Kill() // it may have ended by itself
			c.cmd.Wait()         // it was killed
		}
	})
	return c
}

// wait returns what the child answered; where it was killed, lived is false and last is the call it died at.
func (c *child) wait(t testing.TB) (a answer, lived bool, last string) {
	t.Helper()
	out, err := io.ReadAll(c.stdout)
	if err != nil {
		t.Fatal(err)
	}
	err = c.cmd.Wait()
	last = strings.TrimSpace(c.stderr.String())
	if status, ok := c.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() && status.Signal() == unix.SIGKILL {
		return a, false, last
	}
	if err != nil {
		t.Fatalf("child: %v: %s", err, last)
	}
	if err := json.Unmarshal(out, &a); err != nil {
		t.Fatalf("child said %.300q: %v", out, err)
	}
	return a, true, last
}

// run runs a child to its end.
func run(t testing.TB, o orders) (a answer, lived bool, last string) {
	t.Helper()
	return start(t, o).wait(t)
}

// master is a sample Maia made once; tests work on copies of it.
var master struct {
	once sync.Once
	base string
	fix  *fixture.Fixture
	err  error
}

// built is the program itself, for tests of the whole process.
var built struct {
	once sync.Once
	dir  string
	err  error
}

// realProgram returns the program's path; it is built once.
func realProgram() (string, error) {
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "engine-test-"); built.err != nil {
			return
		}
		if out, err := exec.Command("go", "build", "-o", built.dir, "maia-dr").CombinedOutput(); err != nil {
			built.err = fmt.Errorf("build: %w: %s", err, out)
		}
	})
	return filepath.Join(built.dir, "maia-dr"), built.err
}

// copyMac copies the sample to base.
func copyMac(t testing.TB, base string) *fixture.Fixture {
	t.Helper()
	master.once.Do(func() {
		if master.base, master.err = os.MkdirTemp("", "engine-test-"); master.err != nil {
			return
		}
		master.fix, master.err = fixture.Make(context.Background(), fixture.Options{
			Base: filepath.Join(master.base, "mac"), Seed: 7, OldHome: "/Users/naythan", LargeDatabase: 1_200_000,
		})
	})
	if master.err != nil {
		t.Fatal(master.err)
	}
	copyTree(t, master.fix.Base, base)
	// Opening it would make all its content once more.
	fix := *master.fix
	for _, path := range []*string{&fix.Base, &fix.Home, &fix.Root, &fix.OneDrive} {
		*path = base + strings.TrimPrefix(*path, master.fix.Base)
	}
	fix.Secrets = nil
	for _, s := range master.fix.Secrets {
		s.Place = base + strings.TrimPrefix(s.Place, master.fix.Base)
		fix.Secrets = append(fix.Secrets, s)
	}
	return &fix
}

// copyTree copies a folder with modes and times.
func copyTree(t testing.TB, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("copy %s: %v: %s", from, err, out)
	}
}
