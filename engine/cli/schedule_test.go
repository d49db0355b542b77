package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"howett.net/plist"

	"maia-dr/engine/schedule"
	"maia-dr/engine/state"
	"maia-dr/keychain"
	"maia-dr/launchd"
)

// mac is a launchd behind launchctl: what is bootstrapped is loaded.
type mac struct {
	loaded map[string]bool
	exit   int // of everything, if not 0
	calls  []string
}

func (m *mac) run(_ context.Context, name string, args ...string) (int, error) {
	m.calls = append(m.calls, filepath.Base(name)+" "+strings.Join(args, " "))
	last := args[len(args)-1]
	label := strings.TrimSuffix(filepath.Base(last), ".plist")
	switch {
	case filepath.Base(name) == "xattr":
		return 1, nil
	case filepath.Base(name) == "plutil":
		return 0, nil
	case m.exit != 0:
		return m.exit, nil
	case args[0] == "bootstrap":
		m.loaded[label] = true
	case args[0] == "bootout" && m.loaded[label]:
		delete(m.loaded, label)
	case args[0] == "bootout", args[0] == "print" && !m.loaded[label]:
		return 113, nil
	}
	return 0, nil
}

func newMac(t *testing.T) (*desk, *mac) {
	d, m := newDesk(t), &mac{loaded: map[string]bool{}}
	d.jobs = launchd.Manager{Home: d.fix.Home, UID: 501, Run: m.run}
	return d, m
}

func readTree(t *testing.T, path string) map[string]any {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if _, err := plist.Unmarshal(b, &tree); err != nil {
		t.Fatal(err)
	}
	return tree
}

// TestPlanAgentIsTakenOver: the password is in the Keychain and nowhere in the file, the program is this one, the time of
// day is the one there was, and every other key is equal.
func TestPlanAgentIsTakenOver(t *testing.T) {
	d, m := newMac(t)
	path := filepath.Join(d.fix.Home, "Library", "LaunchAgents", "com.maia.disaster-recovery.plist")
	planted, err := d.fix.PlanAgent(path)
	if err != nil {
		t.Fatal(err)
	}
	before := readTree(t, path)
	before["StartCalendarInterval"] = map[string]any{"Hour": 2, "Minute": 15}
	before["Umask"], before["KeepAlive"] = 63, false
	b, err := plist.Marshal(before, plist.BinaryFormat)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	d.says(d.run(3, "schedule", "status"), "the plan's first version", "schedule install")

	// Another password in the Keychain: nothing is changed.
	other := keychain.NewSecret([]byte("another one"))
	item := keychain.Item{Service: keychain.Service, Account: keychain.Account}
	if err := d.store.Set(t.Context(), item, other); err != nil {
		t.Fatal(err)
	}
	d.says(d.run(2, "schedule", "install"), "holds another one already")
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, b) || len(m.loaded) > 0 {
		t.Fatalf("the agent was changed: %v", err)
	}
	if err := d.store.Delete(t.Context(), item); err != nil {
		t.Fatal(err)
	}

	out := d.run(0, "schedule", "install")
	d.says(out, "taken over", "every day at 02:15", "ProgramArguments: replaced", "in the Keychain")
	if strings.Contains(out, planted.Value) {
		t.Error("the password was shown")
	}
	got, err := d.store.Get(t.Context(), item)
	if err != nil || string(got.Bytes()) != planted.Value {
		t.Errorf("the Keychain does not hold the password: %v", err)
	}
	raw, err := os.ReadFile(path)
	if err != nil || bytes.Contains(raw, []byte(planted.Value)) {
		t.Errorf("%v; the password is in the file", err)
	}
	after := readTree(t, path)
	if args := after["ProgramArguments"].([]any); args[0] != applicationPath || args[1] != "backup" || args[2] != "--scheduled" {
		t.Errorf("%v", args)
	}
	first := after["StartCalendarInterval"].([]any)[0].(map[string]any)
	if first["Hour"] != uint64(2) || first["Minute"] != uint64(15) || len(after["StartCalendarInterval"].([]any)) != 5 {
		t.Errorf("%v", after["StartCalendarInterval"])
	}
	// What the schedule consists of is ours; nothing else was touched but the password.
	ours := []string{"ProgramArguments", "StartCalendarInterval", "RunAtLoad", "StandardOutPath", "StandardErrorPath"}
	delete(before["EnvironmentVariables"].(map[string]any), "MAIA_VAULT_PASSWORD")
	for key, was := range before {
		if !slices.Contains(ours, key) && !sameValue(t, was, after[key]) {
			t.Errorf("%s was %v and is %v", key, was, after[key])
		}
	}
	if !m.loaded["com.maia.disaster-recovery"] {
		t.Errorf("not loaded after %q", m.calls)
	}
	status := d.run(3, "schedule", "status", "--json")
	var r struct {
		At     string
		Backup struct{ Installed, Loaded bool }
	}
	if err := json.Unmarshal([]byte(status), &r); err != nil || r.At != "02:15" || !r.Backup.Installed || !r.Backup.Loaded {
		t.Errorf("%v\n%s", err, status)
	}
	// It starts another copy of the program than the one that is asked, since there is none at that place here.
	d.says(status, "schedule_program_gone")
}

// TestTakeOverStops: while it is not known that the password of the plan's agent is safe, its file, which may have the only
// copy, stays as it is. What is in there is shown by nothing.
func TestTakeOverStops(t *testing.T) {
	d, m := newMac(t)
	path := filepath.Join(d.fix.Home, "Library", "LaunchAgents", "com.maia.disaster-recovery.plist")
	if _, err := d.fix.PlanAgent(path); err != nil {
		t.Fatal(err)
	}
	tree := readTree(t, path)
	plant := func(env, arg any) []byte {
		t.Helper()
		tree["EnvironmentVariables"] = map[string]any{"MAIA_VAULT_PASSWORD": env, "LANG": "de"}
		args := tree["ProgramArguments"].([]any)
		args[len(args)-1] = arg
		b, err := plist.Marshal(tree, plist.XMLFormat)
		if err == nil {
			err = os.WriteFile(path, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	const secret, placeholder = "seven grey herons", "ENV:MAIA_VAULT_PASSWORD"
	stops := func(why, said string, was []byte, want int, args ...string) {
		t.Helper()
		out := d.run(want, args...)
		d.says(out, said)
		now, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(now, was) || m.loaded["com.maia.disaster-recovery"] {
			t.Errorf("%s: the agent was changed: %v", why, err)
		}
		if strings.Contains(out, secret) {
			t.Errorf("%s: the password was shown", why)
		}
	}
	was := plant(secret, placeholder)
	for _, fault := range []error{keychain.ErrLocked, keychain.ErrDenied, keychain.ErrTimeout, keychain.ErrEmpty, keychain.ErrUnavailable} {
		d.store.SetFault(fault)
		stops(fault.Error(), "what to do", was, 12, "schedule", "install")
	}
	d.store.SetFault(nil)
	for _, bad := range []any{secret + "\nover the weir", secret + "\rover", strings.Repeat(secret, 40), 12345} {
		stops("a password that no vault can have", "MAIA_VAULT_PASSWORD", plant(bad, placeholder), 12, "schedule", "install")
	}
	stops("an argument that no vault can have", "by hand", plant("", secret+"\n"), 12, "schedule", "install")
	was = plant("", secret+"\n")
	stops("status", "first version", was, 3, "schedule", "status", "--json")
	stops("setup", "by hand", was, 12, "setup", "--yes")

	// The plan's placeholders are none.
	plant("YOUR_PASSWORD", placeholder)
	d.says(d.run(0, "schedule", "install"), "ProgramArguments: replaced")
	if !m.loaded["com.maia.disaster-recovery"] {
		t.Error("an agent without a password is not taken over")
	}
}

func sameValue(t *testing.T, a, b any) bool {
	t.Helper()
	var texts [2]string
	for i, v := range []any{a, b} {
		x, err := plist.Marshal(v, plist.XMLFormat)
		if err != nil {
			t.Fatal(err)
		}
		texts[i] = string(x)
	}
	return texts[0] == texts[1]
}

// With --json standard output is one object, also while an agent is taken over, and a configuration that is a link is
// changed where it lies, mode and all.
func TestTakenOverInJSON(t *testing.T) {
	d, _ := newMac(t)
	path := filepath.Join(d.fix.Home, "Library", "LaunchAgents", "com.maia.disaster-recovery.plist")
	if _, err := d.fix.PlanAgent(path); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(d.fix.Home, ".config", "maia-dr", "config.toml")
	target := filepath.Join(d.fix.Home, "dotfiles.toml")
	for _, err := range []error{
		os.WriteFile(target, []byte("# mine\n"), 0o600), os.RemoveAll(link), os.MkdirAll(filepath.Dir(link), 0o700), os.Symlink(target, link),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	d.apart = true
	out := d.run(0, "schedule", "install", "--at", "04:30", "--json")
	var got struct {
		At   string
		Jobs []struct{ Label string }
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || got.At != "04:30" || len(got.Jobs) != 2 {
		t.Errorf("%v\n%s", err, out)
	}
	b, err := os.ReadFile(target)
	if fi, serr := os.Stat(target); err != nil || serr != nil || fi.Mode().Perm() != 0o600 || string(b) != "# mine\n\n[schedule]\nat = \"04:30\"\n" {
		t.Errorf("%v %v %v %q", err, serr, fi.Mode(), b)
	}
	if fi, err := os.Lstat(link); err != nil || fi.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v, %v", fi, err)
	}
}

// Without a desktop session the agents are in place, and it is said what to do.
func TestScheduleOverSSH(t *testing.T) {
	d, m := newMac(t)
	m.exit = 125
	d.says(d.run(1, "schedule", "install"), "no desktop session", "next login")
	d.says(d.run(3, "schedule", "status"), "log in at the Mac's desktop")
	d.says(d.run(0, "schedule", "remove"), "No backup is made by itself")
	d.notInstalled()
	d.says(d.run(0, "schedule", "remove"), "There was no schedule")

	// Where an earlier removal was cut off between the file and the note, the next one ends it.
	if err := (state.Dir{Path: d.state}).SaveSchedule(&schedule.Record{InstalledAt: d.clock}); err != nil {
		t.Fatal(err)
	}
	d.run(0, "schedule", "remove")
	d.notInstalled()

	// A launchd that refuses: the file is gone, and so it is noted.
	m.exit = 0
	d.run(0, "schedule", "install")
	m.exit = 5
	d.says(d.run(1, "schedule", "remove", "--only", "backup"), "Login Items")
	d.notInstalled()
	m.exit = 0
	d.run(0, "schedule", "install")
	if d.run(0, "schedule", "remove", "--only", "backup"); m.loaded["com.maia.disaster-recovery"] {
		t.Error("it is still loaded")
	}
}

// notInstalled requires that no backup is expected to be made by itself.
func (d *desk) notInstalled() {
	d.t.Helper()
	if r := (state.Dir{Path: d.state}).LoadSchedule(); !r.InstalledAt.IsZero() {
		d.t.Errorf("it is noted as installed: %+v", r)
	}
}

// A Mac whose launchd does not keep to the schedule is found out by the days without a start.
func TestScheduleThatDoesNotRun(t *testing.T) {
	d, _ := newMac(t)
	d.run(0, "schedule", "install")
	d.clock = d.clock.Add(26 * time.Hour)
	if out := d.run(3, "schedule", "status"); strings.Contains(out, "never started") {
		t.Errorf("after a day:\n%s", out)
	}
	d.clock = d.clock.Add(72 * time.Hour)
	d.says(d.run(3, "schedule", "status"), "never started a backup", "Login Items")
}
