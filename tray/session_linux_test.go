package tray_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"

	"maia-dr/engine/fixture"
	"maia-dr/engine/fsx"
	"maia-dr/packaging/ci/faults/matrix"
	"maia-dr/tray/menu"
)

// session is a desktop with a sample of Maia and the program's menu on it.
type session struct {
	*desktop
	fix   *fixture.Fixture
	state string
	clock string
	env   []string
	// hold, while it is not closed, keeps every backup waiting for its password.
	hold chan struct{}
	// asked has an entry for each time the password was asked for.
	asked chan struct{}
	// told is what the owner must have been told so far.
	told []string
}

func startSession(t testing.TB) *session {
	t.Helper()
	d := startDesktop(t)
	fix, err := fixture.Make(context.Background(), fixture.Options{Base: filepath.Join(d.dir, "mac"), Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	s := &session{desktop: d, fix: fix, state: filepath.Join(d.dir, "state"), clock: filepath.Join(d.dir, "clock"), hold: make(chan struct{}), asked: make(chan struct{}, 100)}
	close(s.hold)
	bin := filepath.Join(d.dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	s.env = []string{
		"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + fix.Home, "MAIA_ROOT=" + fix.Root, "MAIA_DR_STATE_DIR=" + s.state,
		"XDG_RUNTIME_DIR=" + d.dir, "MAIA_TEST_CLOCK=" + s.clock, "SAID=" + filepath.Join(d.dir, "said"),
	}
	for _, tool := range []string{"xdg-open", "x-terminal-emulator"} {
		// They write down what they are given, and run what a terminal would.
		script := "#!/bin/sh\necho \"" + tool + " $*\" >> \"$SAID\"\n[ \"$1\" != -e ] || \"$2\" </dev/null >> \"$SAID\" 2>&1\n"
		if err := os.WriteFile(filepath.Join(bin, tool), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	d.serve(d.connect(), "org.freedesktop.secrets", "/org/freedesktop/secrets", map[string]any{"OpenSession": func(string, dbus.Variant) (dbus.Variant, dbus.ObjectPath, *dbus.Error) {
		s.asked <- struct{}{}
		d.mu.Lock()
		hold := s.hold
		d.mu.Unlock()
		<-hold
		return dbus.MakeVariant(""), "/", dbus.MakeFailedError(errors.New("there is no keyring"))
	}})
	return s
}

// holdBackups makes backups wait for their password until release is called.
func (s *session) holdBackups() (release func()) {
	hold := make(chan struct{})
	s.mu.Lock()
	s.hold = hold
	s.mu.Unlock()
	release = func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.hold == hold {
			select {
			case <-hold:
			default:
				close(hold)
			}
		}
	}
	s.t.Cleanup(release)
	return release
}

// cli runs a command and returns its exit code.
func (s *session) cli(args ...string) (exit int, out string) {
	s.t.Helper()
	b, err := s.program(s.env, args...).CombinedOutput()
	var ee *exec.ExitError
	if err != nil && !errors.As(err, &ee) {
		s.t.Fatal(err)
	}
	if ee != nil {
		exit = ee.ExitCode()
	}
	return exit, string(b)
}

func (s *session) backups() int {
	s.t.Helper()
	_, out := s.cli("list", "--json")
	return strings.Count(out, `"state": "complete"`)
}

// results are the results in the history.
func (s *session) results() (out []string) {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(s.state, "history.jsonl"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		var h struct{ Kind, Result string }
		if err := json.Unmarshal([]byte(line), &h); err != nil {
			s.t.Fatal(err)
		}
		out = append(out, h.Kind+" "+h.Result)
	}
	return out
}

func (s *session) said() string {
	b, _ := os.ReadFile(filepath.Join(s.dir, "said"))
	return string(b)
}

// poll waits for something that nothing on the bus tells of.
func (s *session) poll(what string, ok func() bool) {
	s.t.Helper()
	every := time.NewTicker(20 * time.Millisecond)
	defer every.Stop()
	limit := time.After(patience)
	for !ok() {
		select {
		case <-every.C:
		case <-limit:
			s.t.Fatalf("gave up waiting until %s", what)
		}
	}
}

func (s *session) locked() bool {
	locked, err := fsx.Locked(filepath.Join(s.state, "run.lock"))
	if err != nil {
		s.t.Fatal(err)
	}
	return locked
}

func (a *app) running() bool { return strings.HasPrefix(string(a.icon()), "running-") }

// readOnly makes a folder one that nobody can write to, until the function it returns is called, and says what the menu
// has to say of it.
func readOnly(t *testing.T, dir string) (undo func(), reason string) {
	const notWritable = "a folder cannot be written to"
	t.Helper()
	if os.Getuid() != 0 {
		if err := os.Chmod(dir, 0o500); err != nil {
			t.Fatal(err)
		}
		undo = func() { _ = os.Chmod(dir, 0o700) }
		t.Cleanup(undo)
		return undo, notWritable
	}
	// Modes do not hold root back; a mount does.
	err := unix.Mount(dir, dir, "", unix.MS_BIND, "")
	if errors.Is(err, unix.EPERM) {
		// Root of a container that may not mount: there the folder is taken away altogether.
		if err := os.Rename(dir, dir+".away"); err != nil {
			t.Fatal(err)
		}
		return func() {
			if err := os.Rename(dir+".away", dir); err != nil {
				t.Error(err)
			}
		}, "the backups in the OneDrive folder are gone"
	}
	if err != nil {
		t.Fatal(err)
	}
	mounted := true
	undo = func() {
		if mounted {
			mounted = false
			if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(undo)
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	return undo, notWritable
}

const welcome = "Maia Recovery is in the menu bar"

func (s *session) wantTold(want ...string) {
	s.t.Helper()
	want = append([]string{welcome}, want...)
	s.wait("all is told", func() bool { return len(s.titles()) >= len(want) })
	if got := s.titles(); !slices.Equal(got, want) {
		ledger, _ := os.ReadFile(filepath.Join(s.state, "incidents.json"))
		s.t.Fatalf("told %q, want %q; remembered is %s", got, want, ledger)
	}
}

// A click makes a real backup, and the menu follows it to its end; another is cancelled.
func TestBackUpFromTheMenu(t *testing.T) {
	s := startSession(t)
	s.startPanel()
	a := s.start(s.env)
	s.wait("nothing is backed up", func() bool { return a.icon() == menu.SetUp && a.shows("Last backup: none yet") })

	release := s.holdBackups()
	a.click("Back Up Now")
	s.wait("the backup runs", func() bool { return a.running() && a.shows("Backup: ") && a.shows("Cancel") && !a.shows("Back Up Now") })
	if exit, out := s.cli("backup"); exit != 11 {
		t.Errorf("a second backup beside it: exit %d\n%s", exit, out)
	}
	release()
	s.wait("the backup is done", func() bool { return a.shows("Last backup: just now, ") && a.shows("Back Up Now") && !a.running() })
	if n := s.backups(); n != 1 || !slices.Equal(s.results(), []string{"backup completed_with_warnings"}) {
		t.Errorf("%d backups, %v\n%s", n, s.results(), a.text())
	}
	if !a.shows("Recent Backups") || !a.shows("Problem: Passwords and keys are not backed up") || a.shows("OneDrive: reports") {
		t.Error(a.text())
	}

	s.holdBackups()
	a.click("Back Up Now")
	s.wait("the backup runs", func() bool { return a.shows("Cancel") && s.locked() })
	a.click("Cancel")
	s.wait("it is cancelled", func() bool { return a.shows("Back Up Now") && !a.running() })
	if n := s.backups(); n != 1 || s.locked() || !slices.Equal(s.results()[1:], []string{"backup cancelled"}) {
		t.Errorf("%d backups, %v", n, s.results())
	}
	if a.icon() == menu.Failed || a.shows("Problem: The last backup failed") || a.shows("Problem: It did not work") {
		t.Errorf("what was cancelled has failed:\n%s", a.text())
	}
	s.wantTold()

	// A click on a row that is hidden, or that cannot be clicked, does nothing.
	for _, r := range a.rows() {
		if !r.line && (!r.visible || !r.enabled) {
			a.event(r.id, "clicked")
		}
	}
	if n := len(s.results()); n != 2 || a.running() {
		t.Errorf("%d runs", n)
	}
	a.click("Quit")
	if err := a.ends(); err != nil {
		t.Error(err, a.out.String())
	}
}

// A backup fails: the scheduled run and the menu both see it, and the owner is told once. He is told once when it is over.
func TestFailureIsToldOnce(t *testing.T) {
	s := startSession(t)
	s.startPanel()
	a := s.start(s.env)
	if exit, out := s.cli("backup", "--quiet"); exit != 3 {
		t.Fatal(exit, out)
	}
	s.wait("the backup is seen", func() bool { return a.shows("Last backup: just now") })
	// The next day, which has no backup yet; the scheduled run would have nothing to do else.
	write(t, s.clock, "24h")
	writable, reason := readOnly(t, filepath.Join(s.fix.OneDrive, "MaiaBackups"))
	for range 2 {
		if exit, out := s.cli("backup", "--scheduled", "--quiet"); exit != 1 {
			t.Errorf("it exited with %d\n%s", exit, out)
		}
		s.wait("the failure is seen", func() bool {
			return a.icon() == menu.Failed && a.shows("Problem: The last backup failed: "+reason)
		})
	}
	a.click("Back Up Now")
	s.wait("a third has failed", func() bool { return len(s.results()) == 4 && !a.running() && a.icon() == menu.Failed })
	s.wantTold("The backup failed")
	writable()
	if exit, out := s.cli("backup", "--quiet"); exit != 3 {
		t.Fatal(exit, out)
	}
	s.wait("it is over", func() bool { return a.icon() != menu.Failed })
	s.wantTold("The backup failed", "Backups work again")
	for _, n := range s.notes[1:] {
		if strings.ContainsAny(n.title+n.body, "\n\x1b\x00") || !strings.HasSuffix(n.body, ".") {
			t.Errorf("%q", n)
		}
	}
}

// Time passes: the backup becomes overdue, and that is told once, by the clock alone.
func TestOverdueByTheClock(t *testing.T) {
	s := startSession(t)
	s.startPanel()
	if exit, out := s.cli("backup", "--quiet"); exit != 3 {
		t.Fatal(exit, out)
	}
	a := s.start(s.env)
	s.wait("the backup is seen", func() bool { return a.shows("Last backup: just now") })
	write(t, s.clock, "27h")
	a.open()
	s.wait("it is overdue", func() bool { return a.icon() == menu.Overdue && a.shows("Last backup: 27 hours ago, overdue") })
	s.wantTold("No backup for 27 hours")
	write(t, s.clock, "52h")
	a.open()
	s.wait("it is told again after a day", func() bool { return len(s.titles()) == 3 })
	s.wantTold("No backup for 27 hours", "Still: No backup for 2 days")

	// Muted, it stays to be seen and is not told of.
	a.click("The newest complete backup is 2 days old")
	s.wait("it is muted", func() bool { return a.shows("Muted until ") && a.icon() != menu.Overdue })
	write(t, s.clock, "100h")
	a.open()
	s.wait("days have passed", func() bool { return a.shows("Last backup: 4 days ago") })
	a.click("For 1 Hour")
	s.wait("backups are paused", func() bool {
		return a.shows("Backups Are Paused Until ")
	})
	if exit, out := s.cli("backup", "--scheduled"); exit != 0 || !strings.Contains(out, "are paused until") {
		t.Error(exit, out)
	}
	a.click("Resume")
	s.wait("they are not", func() bool { return a.shows("Pause Backups") })
	s.wantTold("No backup for 27 hours", "Still: No backup for 2 days")
}

// An upload becomes slow, stuck and blocked by the clock and by what OneDrive answers; it is told of once for each that
// needs something else, and when it is over.
func TestUploadByTheClock(t *testing.T) {
	s := startSession(t)
	s.startPanel()
	answer := filepath.Join(s.dir, "answer")
	s.env = append(s.env, "MAIA_TEST_SYNC="+answer)
	write(t, answer, "-1h pending\n50m uploading\n4h uploading quota\n5h client_uploaded\n")
	if exit, out := s.cli("backup", "--quiet", "--no-vault", "--no-wait"); exit != 0 {
		t.Fatal(exit, out)
	}
	// The sample's likely secrets are a problem of their own.
	if exit, out := s.cli("notify", "mute", "likely_secret"); exit != 0 {
		t.Fatal(exit, out)
	}
	a := s.start(s.env)
	for _, step := range []struct {
		passed string
		icon   menu.Icon
		row    string
		told   []string
	}{
		{"10m", menu.Uploading, "OneDrive: waiting for upload, 0 of ", nil},
		{"55m", menu.Uploading, "OneDrive: uploading, 0 of ", nil},
		{"65m", menu.Attention, "OneDrive: slow, 0 of ", []string{"OneDrive is slow to upload the backup"}},
		{"3h", menu.Attention, "OneDrive: stuck, 0 of ", nil},
		{"4h5m", menu.Attention, "OneDrive: not uploading, your OneDrive storage is full, 0 of ", []string{"OneDrive does not upload the backup"}},
	} {
		write(t, s.clock, step.passed)
		a.open()
		if !s.within(patience, func() bool { return a.icon() == step.icon && a.shows(step.row) }) {
			t.Fatalf("after %s:\n%s", step.passed, a.text())
		}
		s.told = append(s.told, step.told...)
		s.wantTold(s.told...)
	}
	// Uploaded is what two looks a minute apart find so.
	done := func() bool { return a.icon() == menu.Neutral && a.shows("OneDrive: reports all ") }
	for minutes, uploaded := 0, false; !uploaded; minutes += 2 {
		if minutes > 60 {
			t.Fatalf("it is never uploaded:\n%s", a.text())
		}
		write(t, s.clock, fmt.Sprintf("5h%dm", minutes))
		a.open()
		uploaded = s.within(3*time.Second, done)
	}
	s.wantTold(append(s.told, "The backup is uploaded after all")...)
}

// The menu comes back after the panel was restarted, also after its notifications were closed, and works as before.
func TestPanelRestarts(t *testing.T) {
	s := startSession(t)
	stop := s.startPanel()
	a := s.start(s.env)
	s.wantTold()
	if err := s.conn.Emit("/org/freedesktop/Notifications", "org.freedesktop.Notifications.NotificationClosed", uint32(1), uint32(2)); err != nil {
		t.Fatal(err)
	}
	for n := range 2 {
		// The library begins to watch the panel only after it has registered with it: a panel that restarts in between
		// goes unnoticed, the next one must not.
		for try, back := 0, false; !back; try++ {
			if try == 10 {
				t.Fatal("the icon does not come back")
			}
			stop()
			before := s.registrations()
			stop = s.startPanel()
			back = s.within(10*time.Second, func() bool { return s.registrations() > before })
		}
		a.click([]string{"For 1 Hour", "Resume"}[n])
		s.wait("a click is heard", func() bool { return a.shows([]string{"Backups Are Paused", "Pause Backups"}[n]) })
	}
	stop()
	if err := a.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := a.ends(); err != nil {
		t.Errorf("%v\n%s", err, a.out.String())
	}
}

// A second menu leaves it to the first. When the first is killed its backup goes on, and the next menu shows it.
func TestTwoMenus(t *testing.T) {
	s := startSession(t)
	s.startPanel()
	a := s.start(s.env)
	if exit, out := s.cli("tray"); exit != 0 || !strings.Contains(out, "in the menu bar already") {
		t.Error(exit, out)
	}
	release := s.holdBackups()
	a.click("Back Up Now")
	s.wait("the backup runs", func() bool { return a.shows("Cancel") && s.locked() })
	if err := a.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = a.ends()
	if !s.locked() {
		t.Fatal("the backup went with the menu")
	}
	b := s.start(s.env)
	s.wait("the backup is seen", func() bool { return b.running() && b.shows("Backup, started elsewhere: ") && !b.shows("Cancel") })
	release()
	s.wait("it is done", func() bool { return b.shows("Last backup: just now") && !b.running() })
	if n := s.backups(); n != 1 {
		t.Errorf("%d backups", n)
	}
	// One that dies says nothing; the menu finds out.
	s.holdBackups()
	b.click("Back Up Now")
	s.wait("the backup runs", func() bool { return b.shows("Cancel") && s.locked() })
	var st struct{ Run struct{ PID int } }
	raw, err := os.ReadFile(filepath.Join(s.state, "status.json"))
	if err != nil || json.Unmarshal(raw, &st) != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(st.Run.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.wait("it is seen that it was interrupted", func() bool { return b.icon() == menu.Attention && b.shows("Problem: The backup begun ") })
}

// Rows that open something: folder, log, terminal.
func TestRowsOpen(t *testing.T) {
	s := startSession(t)
	s.startPanel()
	if exit, out := s.cli("backup", "--quiet"); exit != 3 {
		t.Fatal(exit, out)
	}
	a := s.start(s.env)
	s.wait("the backup is seen", func() bool { return a.shows("Recent Backups") })
	for _, c := range []struct{ row, want string }{
		{"Open Backup Folder", "xdg-open " + filepath.Join(s.fix.OneDrive, "MaiaBackups") + "\n"},
		{"Open Its Folder", "xdg-open " + filepath.Join(s.fix.OneDrive, "MaiaBackups", "full_")},
		{"Open Log", "xdg-open " + filepath.Join(s.state, "log", "maia-dr.log")},
		{"Check Its Files", "Press Return to close this window."},
		{"About Maia Recovery", "repository format 1"},
	} {
		a.click(c.row)
		s.poll(c.row+" has opened", func() bool { return strings.Contains(s.said(), c.want) })
	}
	if !strings.Contains(s.said(), "is whole") {
		t.Errorf("no verification ran:\n%s", s.said())
	}
	// What cannot be opened is shown.
	if err := os.RemoveAll(filepath.Join(s.state, "log")); err != nil {
		t.Fatal(err)
	}
	a.click("Open Log")
	s.wait("that it did not work is seen", func() bool { return a.shows("Problem: It did not work: open ") })
}

// Without a bus, or with one that is gone, there is no menu and no bus is started.
func TestNoBus(t *testing.T) {
	faults := matrix.Of(t, "30")
	s := startSession(t)
	for _, address := range []string{"unix:path=" + filepath.Join(s.dir, "none"), "nonsense"} {
		faults.Inject()
		s.env = append(s.env, "DBUS_SESSION_BUS_ADDRESS="+address)
		if exit, out := s.cli("tray"); exit != 1 || !strings.Contains(out, "there is no desktop session") {
			t.Error(exit, out)
		}
	}
}
