package engine_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"maia-dr/engine"
	"maia-dr/engine/fsx"
	"maia-dr/engine/repository"
	"maia-dr/engine/vault"
	"maia-dr/packaging/ci/faults/matrix"
)

// move is a restore of the sample, whose agents say /Users/naythan, to another user elsewhere.
type move struct {
	*rig
	backup   *repository.Manifest
	to, home string
	// loaded are the labels that a recording launchd was given; refuse is one that it refuses.
	loaded []string
	refuse string
	own    bool // the target home is the user's own
}

func newMove(t *testing.T) *move {
	t.Helper()
	v := &move{rig: newRig(t)}
	res, err := v.sealed(testPassword)
	if err != nil {
		t.Fatal(err)
	}
	v.backup = res.Manifest
	v.place(filepath.Join(v.base, "new"))
	return v
}

func (v *move) place(dir string) {
	v.home = filepath.Join(dir, "Users", "kim")
	v.to = filepath.Join(v.home, "work", "maia")
}

// options are those of a restore with the password, and the user's own word for where the old home went.
func (v *move) options() engine.RestoreOptions {
	return engine.RestoreOptions{
		To: v.to, TargetHome: v.home, Maps: [][2]string{{"/Users/naythan/git/maia", v.to}, {"/Users/naythan/", v.home}},
		Password: func(context.Context, int, int) (vault.Password, error) { return password(v.t, testPassword), nil },
	}
}

func (v *move) restore(o engine.RestoreOptions) (*engine.RestoreResult, error) {
	m := v.mac()
	if v.own {
		m.Home = v.home
	}
	e := m.engineWith(func(o *engine.Options) {
		o.FS = v.fsys
		o.LoadAgent = func(_ context.Context, label, path string) error {
			if label == v.refuse {
				return errors.New("launchd says no")
			}
			if _, err := os.Stat(path); err != nil {
				return err
			}
			v.loaded = append(v.loaded, label)
			return nil
		}
	}, v.now())
	return e.Restore(v.t.Context(), o)
}

// personal maps the sample's agents and shell files that the backup holds to their place in a home.
func (v *move) personal() map[string]string {
	out := map[string]string{}
	for _, c := range []string{"launchagents", "shell_configs"} {
		for _, f := range v.backup.Components[c].Files {
			out[personalPath(c, string(f))] = c
		}
	}
	for _, s := range v.backup.Coverage.Secrets {
		if s.Component == "launchagents" || s.Component == "shell_configs" {
			out[personalPath(s.Component, string(s.Path))] = s.Component
		}
	}
	return out
}

func personalPath(component, path string) string {
	if component == "launchagents" {
		return "Library/LaunchAgents/" + path
	}
	return path
}

// arrived checks that every personal file is in the home, is what it was but for the paths, and kept its time.
func (v *move) arrived() {
	v.t.Helper()
	old := [2]string{"/Users/naythan/git/maia", v.to}
	seen := 0
	for rel, c := range v.personal() {
		src, dst := filepath.Join(v.fix.Home, rel), filepath.Join(v.home, rel)
		was, err := os.Stat(src)
		if err != nil {
			v.t.Fatal(err)
		}
		is, err := os.Lstat(dst)
		if err != nil || is.IsDir() != was.IsDir() {
			v.t.Errorf("%s: %v", rel, err)
			continue
		}
		if was.IsDir() {
			continue
		}
		seen++
		got := read(v.t, dst)
		if !was.ModTime().Equal(is.ModTime()) {
			v.t.Errorf("%s: time %v, was %v", rel, is.ModTime(), was.ModTime())
		}
		if c == "shell_configs" || !bytes.HasPrefix(read(v.t, src), []byte("bplist")) {
			// Longest first, and the boundaries of the sample: what follows a path here is never a letter but in these two.
			want := strings.NewReplacer("<key>/Users/naythan", "<key>/Users/naythan", "/Users/naythan2", "/Users/naythan2", "/Users/naythan-old", "/Users/naythan-old", old[0], old[1], "/Users/naythan", v.home).Replace(string(read(v.t, src)))
			if string(got) != want {
				v.t.Errorf("%s is\n%s\nwant\n%s", rel, got, want)
			}
		} else if _, err := vault.ReadPlist(got); err != nil || bytes.Contains(got, []byte(old[0]+"/")) {
			v.t.Errorf("%s: %v, it still names %s", rel, err, old[0])
		}
	}
	if seen < 27 {
		v.t.Errorf("only %d personal files", seen)
	}
}

func TestRelocatedRestore(t *testing.T) {
	t.Parallel()
	v := newMove(t)
	agents := filepath.Join(v.home, "Library/LaunchAgents")
	mkdirAll(t, agents)
	mkdirAll(t, filepath.Join(v.home, "elsewhere"))
	for name, text := range map[string]string{
		".zshrc": "mine", "Library/LaunchAgents/com.maia.rss-processor.plist": "an old one", "Library/LaunchAgents/com.other.plist": "a stranger", "notes": "a stranger",
		"elsewhere/skhdrc": "behind a link",
	} {
		write(t, filepath.Join(v.home, name), []byte(text))
	}
	mkdirAll(t, filepath.Join(v.home, ".config"))
	if err := os.Symlink("../elsewhere", filepath.Join(v.home, ".config/skhd")); err != nil {
		t.Fatal(err)
	}

	o := v.options()
	o.DryRun = true
	planned, err := v.restore(o)
	if err != nil {
		t.Fatal(err)
	}
	v.planned(planned.Plan)
	if _, err := os.Lstat(v.to); err == nil {
		t.Error("a dry run wrote something")
	}

	o.DryRun = false
	res, err := v.restore(o)
	if err != nil || len(res.Failed)+len(res.Doubtful) > 0 {
		t.Fatalf("%+v, %v", res, err)
	}
	v.arrived()
	for rel, want := range map[string]string{
		"Library/LaunchAgents/com.other.plist": "a stranger", "notes": "a stranger", "elsewhere/skhdrc": "behind a link",
	} {
		if got := string(read(t, filepath.Join(v.home, rel))); got != want {
			t.Errorf("%s is %q", rel, got)
		}
	}
	for rel, want := range map[string]string{".zshrc": "mine", "Library/LaunchAgents/com.maia.rss-processor.plist": "an old one"} {
		if got := string(read(t, filepath.Join(res.MovedAside, "home", rel))); got != want {
			t.Errorf("%s was moved aside as %q", rel, got)
		}
	}
	if to, err := os.Readlink(filepath.Join(res.MovedAside, "home/.config/skhd")); err != nil || to != "../elsewhere" {
		t.Errorf("the link in the way: %q, %v", to, err)
	}
	for _, name := range []string{"maia-recovered/packages/system_metadata.json", "CLAUDE.md"} {
		read(t, filepath.Join(v.to, name))
	}
	if _, err := os.Lstat(filepath.Join(v.to, "maia-recovered/home")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something is laid beside, too: %v", err)
	}
	for _, dir := range []string{v.home, v.to} {
		for _, name := range []string{".maia-restore.partial", ".maia-restore.lock"} {
			if _, err := os.Lstat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s is left in %s: %v", name, dir, err)
			}
		}
	}
	if len(res.Agents) != 19 || len(v.loaded) > 0 {
		t.Errorf("%d agents, and in a home that is not the user's these were loaded: %v", len(res.Agents), v.loaded)
	}
	tree := snapshotTree(t, v.home)
	if res, err = v.restore(o); err != nil || res.Restored != 0 || res.MovedAside != "" {
		t.Errorf("once more: %d restored, aside %q, %v", res.Restored, res.MovedAside, err)
	}
	sameMaps(t, "once more", tree, snapshotTree(t, v.home))
}

// planned checks what the plan says of the paths.
func (v *move) planned(p *engine.RestorePlan) {
	v.t.Helper()
	if p.TargetHome != v.home || !p.Authenticated || p.Activates {
		v.t.Errorf("%+v", p)
	}
	sealed, open := 0, 0
	for _, f := range p.Relocated {
		if f.Sealed {
			sealed++
		} else {
			open++
		}
		if f.Unchanged != "" || len(f.Changes) == 0 || !strings.HasPrefix(f.Path, v.home+"/") {
			v.t.Errorf("%+v", f)
		}
		for _, c := range f.Changes {
			for _, s := range v.planted() {
				if strings.Contains(c.Old+c.New, s.Value) {
					v.t.Errorf("a change of %s shows %v", f.Path, s)
				}
			}
			if c.Old == c.New || !strings.Contains(c.Old, "/Users/naythan") {
				v.t.Errorf("%s: %+v", f.Path, c)
			}
		}
	}
	if sealed < 5 || open < 15 {
		v.t.Errorf("paths change in %d sealed and %d other files", sealed, open)
	}
	if !slices.ContainsFunc(p.Ambiguous, func(s string) bool {
		return strings.Contains(s, ".gitconfig:3") && strings.Contains(s, "naythan") && !strings.Contains(s, "email")
	}) {
		v.t.Errorf("ambiguous: %q", p.Ambiguous)
	}
	if !slices.ContainsFunc(p.Ambiguous, func(s string) bool { return strings.Contains(s, "bi_dashboard.db") && strings.Contains(s, "a key") }) {
		v.t.Errorf("a path that is a key is not named: %q", p.Ambiguous)
	}
	for _, way := range []string{".zshrc", ".config/skhd", "Library/LaunchAgents/com.maia.rss-processor.plist"} {
		if way != ".config/skhd" && !slices.Contains(p.InTheWay, filepath.Join(v.home, way)) {
			v.t.Errorf("%s is in the way, but the plan says %q", way, p.InTheWay)
		}
	}
}

// TestAgentsAreLoaded: in the user's own home, what can run is loaded; of everything else there is the reason.
func TestAgentsAreLoaded(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "27")
	v := newMove(t)
	v.own, v.refuse = true, "com.maia.vtt-pipeline"
	bin := filepath.Join(v.base, "bin")
	mkdirAll(t, bin)
	if err := os.WriteFile(filepath.Join(bin, "python3"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	o := v.options()
	o.Maps = append(o.Maps, [2]string{"/usr/bin/python3", filepath.Join(bin, "python3")})
	var plan *engine.RestorePlan
	o.Confirm = func(p *engine.RestorePlan) (bool, error) {
		plan = p
		if len(v.loaded) > 0 {
			t.Error("agents were loaded before the plan was confirmed")
		}
		return true, nil
	}
	res, err := v.restore(o)
	if err != nil || !plan.Activates {
		t.Fatalf("%+v, %v", plan, err)
	}
	count := map[engine.AgentState]int{}
	for _, a := range res.Agents {
		faults.Inject()
		count[a.State]++
		switch name := filepath.Base(a.File); {
		case name == "com.maia.health_monitor.plist" && (a.State != engine.AgentNotLoaded || !strings.Contains(a.Reason, "disabled")),
			name == "com.maia.vtt-pipeline.plist" && (a.State != engine.AgentFailed || a.Reason != "launchd says no"),
			name == "com.maia.rss-processor.plist" && a.State != engine.AgentLoaded,
			name == "com.maia.vtt-watcher.plist" && (a.State != engine.AgentProgramMissing || a.Reason != v.to+"/venv/bin/python"),
			name == "com.koekeishiya.skhd.plist" && a.State != engine.AgentProgramMissing:
			t.Errorf("%+v", a)
		}
	}
	if len(res.Agents) != 19 || count[engine.AgentLoaded] != len(v.loaded) || len(v.loaded) < 10 || count[engine.AgentFailed] != 1 {
		t.Errorf("%v, loaded %v", count, v.loaded)
	}
	slices.Sort(v.loaded)
	if !slices.Contains(v.loaded, "com.maia.health-monitor") || len(slices.Compact(slices.Clone(v.loaded))) != len(v.loaded) {
		t.Errorf("loaded %v", v.loaded)
	}
	// Without the password everything is laid beside as it is, and nothing is loaded.
	v.loaded = nil
	v.place(filepath.Join(v.base, "unproven"))
	o = v.options()
	o.Password = nil
	if res, err = v.restore(o); err != nil || len(v.loaded)+len(res.Agents)+len(res.Plan.Relocated) > 0 || res.Plan.TargetHome != "" {
		t.Errorf("%v, %v, %+v", v.loaded, err, res)
	}
	if !bytes.Contains(read(t, filepath.Join(v.to, "maia-recovered/home/Library/LaunchAgents/com.maia.rss-processor.plist")), []byte("/Users/naythan/git/maia")) {
		t.Error("an agent that nothing vouches for was changed")
	}
	if _, err := os.Lstat(filepath.Join(v.home, "Library")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something was written to the home: %v", err)
	}
}

// TestRelocatedParts: parts of a backup go to the same places, and a home that makes no sense is refused.
func TestRelocatedParts(t *testing.T) {
	t.Parallel()
	v := newMove(t)
	o := v.options()
	o.Only = []string{"launchagents"}
	res, err := v.restore(o)
	if err != nil || res.Restored != 19 {
		t.Fatalf("%+v, %v", res, err)
	}
	if got := entries(t, v.home); len(got) != 2 || got[0].Name() != "Library" || got[1].Name() != "work" {
		t.Errorf("the home holds %v", got)
	}
	o = v.options()
	// Without a word of the user's: the agents name this place, so the backup knows it as an old root.
	o.Paths, o.Maps = []string{".zprofile", "CLAUDE.md"}, nil
	if res, err = v.restore(o); err != nil || res.Restored != 2 || len(res.Agents) > 0 {
		t.Errorf("%+v, %v", res, err)
	}
	if got := string(read(t, filepath.Join(v.home, ".zprofile"))); !strings.Contains(got, "MAIA_ROOT=\""+v.to+"\"") {
		t.Errorf(".zprofile is %s", got)
	}
	o.BesideOriginal = true
	if res, err = v.restore(o); err != nil || res.Plan.TargetHome != "" || len(res.Plan.Relocated) > 0 {
		t.Errorf("beside the original: %+v, %v", res.Plan, err)
	}
	for what, change := range map[string]func(*engine.RestoreOptions){
		"in the root":       func(o *engine.RestoreOptions) { o.TargetHome = filepath.Join(v.to, "home") },
		"the root":          func(o *engine.RestoreOptions) { o.TargetHome = v.to },
		"in the repository": func(o *engine.RestoreOptions) { o.TargetHome = filepath.Join(v.repo(), "home") },
		"a relative map":    func(o *engine.RestoreOptions) { o.Maps = [][2]string{{"git/maia", "/x"}} },
		"everything mapped": func(o *engine.RestoreOptions) { o.Maps = [][2]string{{"/", "/x"}} },
	} {
		o := v.options()
		change(&o)
		if res, err := v.restore(o); engine.CodeOf(err) != engine.CodeUsage {
			t.Errorf("%s: %+v, %v", what, res, err)
		}
	}
}

// TestRelocatedRestoreFails: a restore that failed at any call, or died there and so cleaned nothing up, ends in the same
// state when it is run again.
func TestRelocatedRestoreFails(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "24")
	v := newMove(t)
	prepare := func(dir string) engine.RestoreOptions {
		remove(t, dir)
		v.place(dir)
		mkdirAll(t, v.home)
		write(t, filepath.Join(v.home, ".zshrc"), []byte("mine"))
		o := v.options()
		o.Only = []string{"launchagents", "shell_configs"}
		return o
	}
	dir := filepath.Join(v.base, "place")
	var calls int
	count := func(fsx.Op, string) error { calls++; return nil }
	v.fault.Store(&count)
	if _, err := v.restore(prepare(dir)); err != nil {
		t.Fatal(err)
	}
	want := snapshotTree(t, v.home)
	if calls < 100 {
		t.Fatalf("only %d calls", calls)
	}
	total, failed := calls, 0
	step := 1 + total/8
	if matrix.Full() {
		step = 1
	}
	for i, n := 0, 1; n <= total; i, n = i+1, n+step {
		faults.Inject()
		o := prepare(dir)
		calls = 0
		fail := func(fsx.Op, string) error {
			if calls++; calls >= n && (i%2 == 0 || calls < n+3) {
				return errors.New("the disk is gone")
			}
			return nil
		}
		v.fault.Store(&fail)
		if _, err := v.restore(o); err != nil {
			failed++
		}
		v.fault.Store(nil)
		res, err := v.restore(o)
		if err != nil || len(res.Failed) > 0 {
			t.Fatalf("after a failure at call %d: %+v, %v", n, res, err)
		}
		sameTree(t, n, want, snapshotTree(t, v.home))
		found := false
		for path, is := range contents(t, dir) {
			found = found || strings.HasSuffix(path, "home/.zshrc") && is == repository.SumHash([]byte("mine")).String()
		}
		if !found {
			t.Errorf("after a failure at call %d, what lay in the home is gone", n)
		}
	}
	if failed < 6 {
		t.Errorf("only %d restores failed", failed)
	}
}

// TestRelocatedAcrossDisks: the home and the Maia root may lie on two disks. What is in the way is then copied.
func TestRelocatedAcrossDisks(t *testing.T) {
	t.Parallel()
	matrix.Count(t, 1, "7")
	v := newMove(t)
	mkdirAll(t, filepath.Join(v.home, ".config"))
	file := filepath.Join(v.home, ".zshrc")
	write(t, file, []byte("mine"))
	when := time.Date(2020, 2, 29, 1, 2, 3, 0, time.UTC)
	if err := errors.Join(os.Chmod(file, 0o640), os.Chtimes(file, when, when), os.Symlink("../elsewhere", filepath.Join(v.home, ".config/skhd"))); err != nil {
		t.Fatal(err)
	}
	across := func(op fsx.Op, path string) error {
		if op == fsx.OpRename && strings.Contains(path, ".before-restore-") {
			return unix.EXDEV
		}
		return nil
	}
	v.fault.Store(&across)
	o := v.options()
	o.Only = []string{"shell_configs"}
	res, err := v.restore(o)
	if err != nil || len(res.Failed) > 0 {
		t.Fatalf("%+v, %v", res, err)
	}
	aside := filepath.Join(res.MovedAside, "home")
	fi, err := os.Stat(filepath.Join(aside, ".zshrc"))
	if err != nil || fi.Mode() != 0o640 || !fi.ModTime().Equal(when) || string(read(t, filepath.Join(aside, ".zshrc"))) != "mine" {
		t.Errorf("%+v, %v", fi, err)
	}
	if to, err := os.Readlink(filepath.Join(aside, ".config/skhd")); err != nil || to != "../elsewhere" {
		t.Errorf("%q, %v", to, err)
	}
	remove(t, file)
	mkdirAll(t, filepath.Join(file, "folder"))
	v.clock = v.clock.Add(time.Minute)
	if res, err = v.restore(o); engine.CodeOf(err) != engine.CodeFailed {
		t.Errorf("a folder in the way: %+v, %v", res, err)
	}
	if _, err := os.Stat(filepath.Join(file, "folder")); err != nil {
		t.Errorf("the folder in the way is gone: %v", err)
	}
}

// TestRelocatedRestoreKilled: the same with a real SIGKILL: locks and staging folders of the dead are taken over.
func TestRelocatedRestoreKilled(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "2")
	v := newMove(t)
	dir := filepath.Join(v.base, "place")
	fresh := func() orders {
		remove(t, dir)
		v.place(dir)
		mkdirAll(t, v.home)
		write(t, filepath.Join(v.home, ".zshrc"), []byte("mine"))
		return orders{Mac: v.mac(), Verb: "restore", Backup: v.backup.BackupID, To: v.to, Home: v.home}
	}
	a, lived, last := run(t, fresh())
	if !lived || a.Code != "" {
		t.Fatalf("%+v %s", a, last)
	}
	want := snapshotTree(t, v.home)
	total := len(a.Calls)
	step := 1 + total/4
	if matrix.Full() {
		step = 1
	}
	for n := 3; n <= total; n += step {
		faults.Inject()
		o := fresh()
		o.KillAt = int64(n)
		if _, lived, _ := run(t, o); lived {
			t.Fatalf("it outlived call %d of %d", n, total)
		}
		o.KillAt = 0
		if a, lived, last := run(t, o); !lived || a.Code != "" {
			t.Fatalf("after a kill at call %d, %s: %+v %s", n, last, a, last)
		}
		sameTree(t, n, want, snapshotTree(t, v.home))
		kept := false
		for path, is := range contents(t, dir) {
			kept = kept || strings.HasSuffix(path, "home/.zshrc") && is == repository.SumHash([]byte("mine")).String()
		}
		if !kept {
			t.Errorf("after a kill at call %d, what lay in the home is gone", n)
		}
	}
}

// sameTree compares homes but for the folder of things in the way, and times of folders that hold it.
func sameTree(t *testing.T, n int, want, got map[string]string) {
	t.Helper()
	for path, is := range want {
		if !strings.Contains(path, ".before-restore-") && got[path] != is {
			t.Errorf("after a failure at call %d, %s is %q, undisturbed %q", n, path, got[path], is)
		}
	}
	for path := range got {
		if !strings.Contains(path, ".before-restore-") && want[path] == "" {
			t.Errorf("after a failure at call %d, there is %s", n, path)
		}
	}
}
