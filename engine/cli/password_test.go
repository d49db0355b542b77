package cli_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"maia-dr/engine"
	"maia-dr/engine/cli"
	"maia-dr/engine/fixture"
	"maia-dr/keychain"
	"maia-dr/packaging/ci/faults/matrix"
	"maia-dr/resources"
)

// desk is a person at a terminal, with a Keychain and a clock.
type desk struct {
	t             *testing.T
	fix           *fixture.Fixture
	store         *keychain.Memory
	state         string
	bin           string
	clock         time.Time
	typed         []string // what will be typed, one after the other
	asked         []string
	jobs          cli.Scheduler
	asksForAccess bool
	apart         bool      // standard error is not returned
	tty           *terminal // nil: there is none for questions
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	base := t.TempDir()
	fix, err := fixture.Make(t.Context(), fixture.Options{Base: filepath.Join(base, "mac"), Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(base, "bin")
	git, err := exec.LookPath("git")
	if err == nil {
		err = errors.Join(os.Mkdir(bin, 0o755), os.Symlink(git, filepath.Join(bin, "git")))
	}
	if err != nil {
		t.Fatal(err)
	}
	return &desk{t: t, fix: fix, bin: bin, store: keychain.NewMemory(), state: filepath.Join(base, "state"), clock: time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)}
}

// run runs a command line and requires its exit code.
func (d *desk) run(want int, args ...string) string {
	d.t.Helper()
	var out, aside bytes.Buffer
	stderr := &out
	if d.apart {
		stderr = &aside
	}
	env := engine.SystemEnv()
	env.Now, env.Home, env.Zone = func() time.Time { return d.clock }, d.fix.Home, time.UTC
	env.Getenv = func(name string) string {
		if name == "PATH" {
			return d.bin // git is all there is: listing Python's packages takes seconds
		}
		return ""
	}
	code := cli.Run(context.Background(), cli.Program{
		Env: env, Version: "0.1.0-test", Script: resources.RestoreScript,
		Args: append([]string{"--state-dir", d.state, "--maia-root", d.fix.Root, "--onedrive-path", d.fix.OneDrive}, args...),
		In:   strings.NewReader(""), Out: &out, Err: stderr, Terminal: true,
		OpenTTY:    d.tty.open,
		Keychain:   func(string) keychain.Store { return d.store },
		Executable: applicationPath, Scheduler: func(string) cli.Scheduler { return d.jobs }, AsksForAccess: d.asksForAccess,
		ReadPassword: func(question string) ([]byte, error) {
			d.asked = append(d.asked, question)
			if len(d.typed) == 0 {
				return nil, errors.New("nobody types")
			}
			next := d.typed[0]
			d.typed = d.typed[1:]
			return []byte(next), nil
		},
	})
	if code != want {
		d.t.Fatalf("maia-dr %s: exit code %d, want %d\n%s", strings.Join(args, " "), code, want, out.String())
	}
	return out.String()
}

// applicationPath is where the program lies on a desk.
const applicationPath = "/Applications/Maia Recovery.app/Contents/MacOS/maia-dr"

// terminal answers questions, one after the other.
type terminal struct {
	answers, questions []string
	answer             *strings.Reader
}

func (t *terminal) open() (io.ReadWriteCloser, error) {
	if t == nil || len(t.answers) == 0 {
		return nil, errors.New("no terminal")
	}
	t.answer = strings.NewReader(t.answers[0] + "\n")
	t.answers = t.answers[1:]
	return t, nil
}

func (t *terminal) Write(p []byte) (int, error) {
	t.questions = append(t.questions, string(p))
	return len(p), nil
}

func (t *terminal) Read(p []byte) (int, error) { return t.answer.Read(p) }
func (t *terminal) Close() error               { return nil }

func (d *desk) says(text string, wants ...string) {
	d.t.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			d.t.Errorf("it does not say %q:\n%s", want, text)
		}
	}
}

// TestPasswordAtADesk is a password's life at a terminal: typed twice, shown its strength, checked by typing, asked
// about after a quarter, rotated.
func TestPasswordAtADesk(t *testing.T) {
	d := newDesk(t)
	const first, second = "seven grey herons over the weir", "another seven grey herons"
	d.typed = []string{first, "a slip", first, first}
	d.says(d.run(0, "password", "set"), "Strength: about", "The two differ", "in the Keychain", "recovery-sheet.html")
	d.typed = []string{second, second}
	d.says(d.run(2, "password", "set"), "there is one already", "password rotate")
	d.run(0, "backup")

	d.typed = []string{"not it"}
	d.run(12, "password", "check", "--typed")
	d.typed = []string{first}
	d.says(d.run(0, "password", "check", "--typed"), "It opens the vault", "password 1")

	// A quarter later somebody is asked to type it.
	status := d.run(3, "status")
	if strings.Contains(status, "last typed") {
		t.Errorf("reminded at once:\n%s", status)
	}
	d.clock = d.clock.AddDate(0, 0, 100)
	d.run(0, "backup")
	d.says(d.run(3, "status"), "you last typed the vault password on 5 January 2026", "password check --typed")
	d.typed = []string{first}
	d.run(0, "password", "check", "--typed")
	if status := d.run(3, "status"); strings.Contains(status, "last typed") {
		t.Errorf("still reminded:\n%s", status)
	}

	d.typed = []string{second, second}
	d.says(d.run(0, "password", "rotate"), "earlier ones still need the old one")
	d.says(d.run(12, "password", "check"), "this is not password 1")
	d.clock = d.clock.Add(time.Hour)
	d.run(0, "backup")
	d.says(d.run(0, "password", "check"), "password 2")

	// A restore asks three times, for the backup's own password.
	d.typed = []string{"no", "nor this", first}
	d.asked = nil
	list := d.run(0, "list")
	old := strings.Fields(strings.Split(list, "\n")[2])[0]
	d.says(d.run(0, "restore", old, "--to", filepath.Join(d.state, "..", "restored"), "--yes"), "authenticated: made by who knows vault password 1", "Wrong password")
	if len(d.asked) != 3 || !strings.Contains(d.asked[0], "Vault password 1") {
		t.Errorf("asked %q", d.asked)
	}
	d.typed = []string{"no", "nor this", "never"}
	d.says(d.run(3, "restore", old, "--to", filepath.Join(d.state, "..", "restored-2"), "--yes"), "still sealed", "not authenticated")
}

// TestKeychainTrouble: a Keychain that is locked, denied, slow or absent costs the vault, not the backup, and each is told
// in its own words.
func TestKeychainTrouble(t *testing.T) {
	faults := matrix.Of(t, "29")
	d := newDesk(t)
	for fault, hint := range map[error]string{
		keychain.ErrLocked: "unlock the Keychain", keychain.ErrDenied: "allow maia-dr", keychain.ErrTimeout: "on the screen",
		keychain.ErrUnavailable: "desktop session", keychain.ErrEmpty: "password set",
	} {
		faults.Inject()
		d.store.SetFault(fault)
		d.clock = d.clock.Add(time.Hour)
		d.says(d.run(3, "backup"), "the vault password could not be read", fault.Error(), "secret")
		d.says(d.run(12, "password", "check"), fault.Error(), hint)
	}
}

// TestRecoverySheet has what somebody needs who has nothing else, and is said to be out of date when the script changes.
func TestRecoverySheet(t *testing.T) {
	d := newDesk(t)
	path := strings.TrimSpace(d.run(0, "password", "sheet"))
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	d.says(string(b), "shasum -a 256 ", "bash ~/Library/CloudStorage/OneDrive*/MaiaBackups/restore_maia.sh", filepath.Base(d.fix.OneDrive), "The vault password")
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", fi.Mode(), err)
	}
	d.typed = []string{"seven grey herons over the weir", "seven grey herons over the weir"}
	d.run(0, "password", "set")
	d.run(0, "backup")
	was := resources.RestoreScript
	defer func() { resources.RestoreScript = was }()
	resources.RestoreScript = append(bytes.Clone(was), '\n')
	d.says(d.run(3, "status"), "printed with an older restore script", "password sheet")
}
