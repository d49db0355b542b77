package resources

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"maia-dr/packaging/ci/faults/matrix"
)

func mustMkdir(t testing.TB, path string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
}

func mustLink(t testing.TB, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

// aside returns the one folder for what was in the way.
func aside(t testing.TB, to string) string {
	t.Helper()
	dirs, err := filepath.Glob(to + ".before-restore-????????_??????")
	if err != nil || len(dirs) != 1 {
		t.Fatalf("folders for what was in the way: %v %v", dirs, err)
	}
	return dirs[0]
}

// TestTargetInUse: nothing in the target is overwritten or written through; equal files and strangers stay.
func TestTargetInUse(t *testing.T) {
	t.Parallel()
	matrix.Count(t, 1, "24")
	b := newBuilder(filepath.Join(t.TempDir(), "MaiaBackups"), fixture(t))
	b.chunkBytes, b.extent = 1_000_000, 100_000
	b.write(t)
	to := newTarget(t)
	dir := filepath.Dir(to)
	outside := filepath.Join(dir, "outside")
	mustMkdir(t, filepath.Join(outside, "tools"))
	write(t, filepath.Join(outside, "run.sh"), []byte("outside"))
	// Strangers.
	write(t, filepath.Join(to, "mine"), []byte("mine"))
	write(t, filepath.Join(to, "claude/data/my notes"), []byte("mine"))
	// Equal: the same bytes, with a mode and a time of their own.
	write(t, filepath.Join(to, "CLAUDE.md"), []byte("# Maia\n"))
	mustLink(t, "CLAUDE.md", filepath.Join(to, "links0"))
	equal, err := os.Lstat(filepath.Join(to, "CLAUDE.md"))
	if err != nil {
		t.Fatal(err)
	}
	// In the way: other bytes of the same size and of another, a folder for a file, a link for a folder, a file for a
	// folder, a link for a file, a file for a link, another link.
	write(t, filepath.Join(to, "plain.py"), []byte("ANOTHER CONTENT plain.py"))
	write(t, filepath.Join(to, "names/new\nline"), []byte("other"))
	write(t, filepath.Join(to, "names/-rf/deep/er"), []byte("other"))
	mustLink(t, outside, filepath.Join(to, "claude/tools"))
	write(t, filepath.Join(to, "dirs"), []byte("a file"))
	mustLink(t, filepath.Join(outside, "run.sh"), filepath.Join(to, "future"))
	write(t, filepath.Join(to, "links1"), []byte("a file"))
	mustLink(t, "elsewhere", filepath.Join(to, "links2"))
	write(t, filepath.Join(to, "claude/data/tickets.db"), []byte("another database"))
	for _, suffix := range []string{"-wal", "-shm", "-journal"} {
		write(t, filepath.Join(to, "claude/data/tickets.db"+suffix), []byte("stale"))
		write(t, filepath.Join(to, "claude/data/databases/small one.db"+suffix), []byte("stale"))
	}
	write(t, filepath.Join(to, "maia-recovered/home/.zshrc"), []byte("older"))

	m := newMachine(t, "bsdtar", "perl")
	script := filepath.Join(b.dir, "restore_maia.sh")
	before := tree(t, dir)
	r := m.run(script, "--to", to, "--dry-run")
	r.want(t, 0, "10 things that differ are in the way", "         names/-rf\n", `         names/new\0012line`, "2 files are there already", "dry run")
	if after := tree(t, dir); after != before {
		t.Fatalf("a dry run changed something:\n%s\n%s", before, after)
	}
	m.run(script, "--to", to, "--yes").want(t, 0, "What was in the way lies in "+to+".before-restore-")
	if got, err := os.Lstat(filepath.Join(to, "CLAUDE.md")); err != nil || !os.SameFile(got, equal) || !got.ModTime().Equal(equal.ModTime()) || got.Mode() != equal.Mode() {
		t.Errorf("an equal file was touched: %v %v", got, err)
	}
	want := slices.DeleteFunc(slices.Clone(b.items), func(it item) bool { return it.path == "CLAUDE.md" || it.path == "links0" })
	checkTree(t, to, want, "mine", "claude/data/my notes", "CLAUDE.md", "links0")
	moved := aside(t, to)
	for path, body := range map[string]string{
		"plain.py": "ANOTHER CONTENT plain.py", "names/new\nline": "other", "names/-rf/deep/er": "other", "dirs": "a file", "links1": "a file",
		"claude/data/tickets.db": "another database", "claude/data/tickets.db-wal": "stale", "claude/data/tickets.db-journal": "stale",
		"claude/data/databases/small one.db-shm": "stale", "maia-recovered/home/.zshrc": "older", "claude/tools/run.sh": "outside",
	} {
		if got, err := os.ReadFile(filepath.Join(moved, path)); err != nil || string(got) != body {
			t.Errorf("in the way was %q: %q %v", path, got, err)
		}
	}
	if target, err := os.Readlink(filepath.Join(moved, "links2")); err != nil || target != "elsewhere" {
		t.Errorf("the link in the way: %q %v", target, err)
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) != 2 {
		t.Errorf("written through a link: %v %v", entries, err)
	}
	m.run(script, "--to", to, "--yes").want(t, 0, "There is nothing to do.")
}

// tree is a text of everything below dir.
func tree(t testing.TB, dir string) string {
	t.Helper()
	var out strings.Builder
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err == nil {
			fmt.Fprintf(&out, "%q %v %v %v\n", path, fi.Mode(), fi.ModTime(), fi.Size())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// writers of files and folders: a kill at one of their calls is a kill between two steps of the script.
const writingTools = "mv mkdir rm touch chmod tar perl head gzip ln rmdir"

// countCalls wraps the writing tools, and fakes besides: KILL=N kills the script and all its children before call N, KILL_AFTER=N
// after it. The calls are lines that are appended, so that the tools of one pipeline do not write over each other's count.
func (m *machine) countCalls(fakes ...string) (counter string) {
	counter = filepath.Join(filepath.Dir(m.bin), "calls")
	for tool := range strings.FieldsSeq(writingTools) {
		m.wrap(tool, killing(counter, tool, "REAL"))
	}
	for _, tool := range fakes {
		real := filepath.Join(filepath.Dir(m.bin), "counted "+tool)
		if err := os.Rename(filepath.Join(m.bin, tool), real); err != nil {
			m.t.Fatal(err)
		}
		m.fakeTool(tool, killing(counter, tool, "'"+real+"'"))
	}
	return counter
}

func killing(counter, tool, real string) string {
	return fmt.Sprintf(`echo %[2]s >> %[1]s; n=$(wc -l < %[1]s)
if [ "$n" -ge "${KILL:-99999}" ]; then kill -9 0; fi
if [ "$n" -ge "${KILL_AFTER:-99999}" ]; then %[3]s "$@"; kill -9 0; fi
exec %[3]s "$@"`, counter, tool, real)
}

// killCase is a target in use, and what must be true of it in the end.
type killCase struct {
	t  testing.TB
	b  *builder
	to string
}

func newKillCase(t testing.TB, b *builder) killCase {
	t.Helper()
	k := killCase{t, b, newTarget(t)}
	write(t, filepath.Join(k.to, "CLAUDE.md"), []byte("mine"))
	write(t, filepath.Join(k.to, "stranger"), []byte("mine"))
	write(t, filepath.Join(k.to, "claude/data/tickets.db-wal"), []byte("stale"))
	mustLink(t, "/nowhere", filepath.Join(k.to, "tools"))
	return k
}

func (k killCase) check() {
	k.t.Helper()
	checkTree(k.t, k.to, k.b.items, "stranger")
	moved := aside(k.t, k.to)
	for path, body := range map[string]string{"CLAUDE.md": "mine", "claude/data/tickets.db-wal": "stale"} {
		if got, err := os.ReadFile(filepath.Join(moved, path)); err != nil || string(got) != body {
			k.t.Errorf("in the way was %q: %q %v", path, got, err)
		}
	}
	if target, err := os.Readlink(filepath.Join(moved, "tools")); err != nil || target != "/nowhere" {
		k.t.Errorf("in the way was a link: %q %v", target, err)
	}
}

// nothingLost: what the user had is in the target or beside it.
func (k killCase) nothingLost() {
	k.t.Helper()
	for path, body := range map[string]string{"CLAUDE.md": "mine", "stranger": "mine", "claude/data/tickets.db-wal": "stale"} {
		found := false
		for _, dir := range append([]string{k.to}, glob(k.t, k.to+".before-restore-*")...) {
			got, err := os.ReadFile(filepath.Join(dir, path))
			found = found || err == nil && string(got) == body
		}
		if !found {
			k.t.Errorf("%s is lost", path)
		}
	}
}

// TestKilled kills the script and all its children at a call of a tool that writes, and runs it again: the end is the
// same, and nothing that was in the way is lost.
func TestKilled(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "2")
	b := smallRepository(t, nil)
	script := filepath.Join(b.dir, "restore_maia.sh")
	m := newMachine(t, "tar", "perl")
	counter := m.countCalls()
	k := newKillCase(t, b)
	m.run(script, "--to", k.to, "--yes").want(t, 0)
	k.check()
	text, err := os.ReadFile(counter)
	if err != nil {
		t.Fatal(err)
	}
	calls := bytes.Count(text, []byte("\n"))
	if calls < 30 {
		t.Fatalf("%d calls", calls)
	}
	step := 5
	if matrix.Full() {
		step = 1
	}
	for n := 2; n < calls-4; n += step {
		kind := []string{"KILL", "KILL_AFTER"}[n/step%2]
		t.Run(fmt.Sprintf("%s=%d of %d", kind, n, calls), func(t *testing.T) {
			faults.Inject()
			t.Parallel()
			m := newMachine(t, "tar", "perl")
			m.countCalls()
			k := newKillCase(t, b)
			cmd := m.command(script, "--to", k.to, "--yes")
			cmd.Env = append(cmd.Env, fmt.Sprintf("%s=%d", kind, n))
			err := cmd.Run()
			if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() {
				t.Fatalf("not killed: %v", err)
			}
			k.nothingLost()
			again := newMachine(t, "tar", "perl")
			again.tmp = m.tmp // where the first run may have left its lists
			again.run(script, "--to", k.to, "--yes").want(t, 0)
			k.check()
		})
	}
}

func glob(t testing.TB, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// TestInterrupted: an interrupt and a termination end with 130, clean up, and leave what is in place.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	b := smallRepository(t, nil)
	script := filepath.Join(b.dir, "restore_maia.sh")
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		m := newMachine(t, "tar", "perl")
		started := filepath.Join(m.home, "started")
		m.wrap("perl", `if [ $# -gt 3 ]; then : > `+started+`; sleep 1; fi; exec REAL "$@"`)
		to := newTarget(t)
		cmd := m.command(script, "--to", to, "--yes")
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
			if _, err := os.Lstat(started); err == nil {
				break
			}
			if time.Now().After(end) {
				t.Fatal("it never began to write")
			}
		}
		if err := syscall.Kill(-cmd.Process.Pid, signal); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // the exit code is checked below
		result{cmd.ProcessState.ExitCode(), out.String()}.want(t, 130, "cancelled")
		if _, err := os.Lstat(to); err == nil {
			t.Errorf("%v: the target, made for nothing, is still there", signal)
		}
		if left := glob(t, m.tmp+"/*"); len(left) > 0 {
			t.Errorf("%v: left: %v", signal, left)
		}
	}
}

// TestLeftovers: what a killed restore left is removed, one that runs is not disturbed, and nothing else is removed.
func TestLeftovers(t *testing.T) {
	t.Parallel()
	b := smallRepository(t, nil)
	script := filepath.Join(b.dir, "restore_maia.sh")
	m := newMachine(t, "tar", "perl")
	to := newTarget(t)
	scratch := filepath.Join(to, ".maia-restore.partial")
	write(t, filepath.Join(scratch, "stream.0"), []byte("left by the program"))
	lock := filepath.Join(to, ".maia-restore.lock")
	mustLink(t, "999999999:1", lock)
	mustLink(t, "999999998:1", lock+".999999999:1")
	write(t, filepath.Join(scratch, "stamp"), []byte("../../x\n"))
	mustMkdir(t, filepath.Join(scratch, "locked"))
	if err := os.Chmod(filepath.Join(scratch, "locked"), 0); err != nil {
		t.Fatal(err)
	}
	m.run(script, "--to", to, "--yes").want(t, 0, "interrupted restore")
	checkTree(t, to, b.items)

	write(t, filepath.Join(scratch, "stamp"), []byte("x\n"))
	m.run(script, "--to", to, "--yes").want(t, 0, "interrupted restore", "There is nothing to do.")
	checkTree(t, to, b.items)
	mustLink(t, "999999999:1", lock)
	m.run(script, "--to", to, "--yes").want(t, 0, "There is nothing to do.")
	checkTree(t, to, b.items)

	if err := os.Remove(filepath.Join(to, "CLAUDE.md")); err != nil {
		t.Fatal(err)
	}
	mustLink(t, m.home, scratch)
	m.run(script, "--to", to, "--yes").want(t, 1, "is in the way")
	if err := os.Remove(scratch); err != nil {
		t.Fatal(err)
	}
	write(t, lock, nil)
	m.run(script, "--to", to, "--yes").want(t, 1, "it is no lock of a restore")
	if err := os.Remove(lock); err != nil {
		t.Fatal(err)
	}
	// Work files of a run that was killed, and somebody else's.
	write(t, filepath.Join(m.tmp, "maia-restore.abcdef/pid"), []byte("999999999:1\n"))
	m.run(script, "--to", to, "--yes").want(t, 0)
	checkTree(t, to, b.items)
}

// TestRecoveredTwice: a Maia into which something was restored before has a folder maia-recovered itself.
func TestRecoveredTwice(t *testing.T) {
	t.Parallel()
	b := smallRepository(t, func(b *builder) {
		stamp := time.Unix(1_700_000_000, 5)
		for _, it := range []item{
			{kind: 'd', path: "maia-recovered", mode: 0o755}, {kind: 'd', path: "maia-recovered/home", mode: 0o755},
			{kind: 'f', path: "maia-recovered/home/.zshrc", mode: 0o644, body: []byte("older")},
			{kind: 'f', path: "maia-recovered/home/.kept", mode: 0o644, body: []byte("kept")},
			{kind: 'd', path: ".maia-restore.partial", mode: 0o700}, {kind: 'f', path: ".maia-restore.partial/stamp", mode: 0o600, body: []byte("1\n")},
			{kind: 'l', path: ".maia-restore.lock", mode: 0o777, link: "1:1"},
		} {
			it.component, it.mtime = "maia_code", stamp
			b.items = append(b.items, it)
		}
	})
	m := newMachine(t, "tar", "perl")
	to := newTarget(t)
	script := filepath.Join(b.dir, "restore_maia.sh")
	m.run(script, "--to", to, "--yes").want(t, 0)
	var want []item
	for _, it := range b.items {
		if it.component == "maia_code" || it.component == "maia_data_small" || it.component == "maia_data_large" {
			want = append(want, it)
			continue
		}
		// To a name that is free; none of the components that are left is under the root.
		it.path = strings.Replace(it.destination(), "maia-recovered/", "maia-recovered-2/", 1)
		it.component = ""
		want = append(want, it)
	}
	checkTree(t, to, slices.DeleteFunc(want, func(it item) bool { return it.path == ".maia-restore.lock" }))
	m.run(script, "--to", to, "--yes").want(t, 0, "There is nothing to do.")
}

// TestDoubtfulDatabase: a database that was damaged when it was backed up is restored, and named.
func TestDoubtfulDatabase(t *testing.T) {
	t.Parallel()
	b := smallRepository(t, func(b *builder) {
		for i := range b.items {
			if b.items[i].kind == 'b' {
				b.items[i].body = bytes.Clone(b.items[i].body)
				copy(b.items[i].body[3*4096:], bytes.Repeat([]byte{0xaa}, 4096))
			}
		}
	})
	m := newMachine(t, "tar", "perl")
	to := newTarget(t)
	m.run(filepath.Join(b.dir, "restore_maia.sh"), "--to", to, "--yes").want(t, 3, "SQLite finds fault", "claude/data/tickets.db: ")
	checkTree(t, to, b.items)
}
