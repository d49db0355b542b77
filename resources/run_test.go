package resources

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// stockTools are commands that a Mac fresh from its box has, as far as the script could want them.
var stockTools = strings.Fields(`awk bash sh sed grep cut sort head tail xargs find mktemp stat date tar gzip chmod openssl sqlite3
	mv cp rm mkdir rmdir ls ln touch cat printf dd wc tr od df du uname env id sleep cmp dirname basename readlink ps true false`)

// machine is a computer as the script sees it: the commands it has, and a home.
type machine struct {
	t    testing.TB
	bin  string
	home string
	tmp  string
	env  []string
}

// newMachine has the stock tools, tar as named, and the given writers of extents besides.
func newMachine(t testing.TB, tar string, more ...string) *machine {
	t.Helper()
	dir := t.TempDir()
	m := &machine{t: t, bin: filepath.Join(dir, "bin"), home: filepath.Join(dir, "home"), tmp: filepath.Join(dir, "tmp")}
	for _, d := range []string{m.bin, m.home, m.tmp} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, tool := range append(slices.Clone(stockTools), more...) {
		program := tool
		if tool == "tar" {
			program = tar
		}
		m.tool(tool, program)
	}
	m.askOpensslOnce()
	return m
}

func (m *machine) tool(name, program string) {
	m.t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		m.t.Fatalf("this test needs %s: %v", program, err)
	}
	link := filepath.Join(m.bin, name)
	if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
		m.t.Fatal(err)
	}
	if err := os.Symlink(path, link); err != nil {
		m.t.Fatal(err)
	}
}

// program makes a tool of a text of its own. What stands in its place goes first: it may be a link to the real one, which
// writing would go through.
func (m *machine) program(name, text string) {
	m.t.Helper()
	path := filepath.Join(m.bin, name)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		m.t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		m.t.Fatal(err)
	}
	_, err = file.WriteString(text)
	if err := errors.Join(err, file.Close()); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) without(names ...string) *machine {
	m.t.Helper()
	for _, name := range names {
		if err := os.Remove(filepath.Join(m.bin, name)); err != nil {
			m.t.Fatal(err)
		}
	}
	return m
}

// command runs the script of a repository, or another one, without a terminal.
func (m *machine) command(script string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(m.bin, "bash"), append([]string{script}, args...)...)
	// A real pip, where a test has one, finds no package, and asks nobody on the network for it.
	cmd.Env = append([]string{"PATH=" + m.bin, "HOME=" + m.home, "TMPDIR=" + m.tmp, "TZ=Europe/Vienna", "PIP_NO_INDEX=1"}, m.env...)
	cmd.Dir = m.home
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd
}

type result struct {
	code int
	text string // both outputs
}

func (m *machine) run(script string, args ...string) result {
	m.t.Helper()
	cmd := m.command(script, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		m.t.Fatal(err)
	}
	left, err := os.ReadDir(m.tmp)
	if err != nil {
		m.t.Fatal(err)
	}
	if len(left) > 0 {
		m.t.Errorf("left in TMPDIR: %v", left)
	}
	if line := shellError(out.String()); line != "" {
		m.t.Errorf("the shell or a tool complains: %s", line)
	}
	return result{cmd.ProcessState.ExitCode(), out.String()}
}

// shellError returns a line of output that comes from no sentence of the script.
func shellError(text string) string {
	for line := range strings.Lines(text) {
		for _, sign := range []string{"unbound variable", "syntax error", "command not found", "restore_maia.sh: line ", "integer expression", "awk:", "xargs:", "sort:", "cut:"} {
			if strings.Contains(line, sign) {
				return line
			}
		}
	}
	return ""
}

// want ends the test unless the run ended with code and said all of says.
func (r result) want(t testing.TB, code int, says ...string) {
	t.Helper()
	if r.code != code {
		t.Fatalf("exit code %d instead of %d:\n%s", r.code, code, r.text)
	}
	for _, s := range says {
		if !strings.Contains(r.text, s) {
			t.Fatalf("it does not say %q:\n%s", s, r.text)
		}
	}
}

// checkTree compares a target with items: types, bytes, modes, times, and nothing else there, but strangers.
func checkTree(t testing.TB, to string, items []item, strangers ...string) {
	t.Helper()
	left := map[string]bool{}
	err := filepath.WalkDir(to, func(path string, _ fs.DirEntry, err error) error {
		if path != to && err == nil {
			left[strings.TrimPrefix(path, to+"/")] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, it := range items {
		dest := it.destination()
		delete(left, dest)
		if text := differs(filepath.Join(to, dest), it); text != "" {
			t.Errorf("%q: %s", dest, text)
		}
	}
	for _, s := range strangers {
		if !left[s] {
			t.Errorf("the stranger %q is gone", s)
		}
		delete(left, s)
	}
	for path := range left {
		if fi, err := os.Lstat(filepath.Join(to, path)); err == nil && fi.IsDir() && strings.HasPrefix(path, "maia-recovered") {
			continue // made on the way to personal files
		}
		t.Errorf("%q should not be there", path)
	}
}

func differs(path string, it item) string {
	fi, err := os.Lstat(path)
	if err != nil {
		return err.Error()
	}
	st := fi.Sys().(*syscall.Stat_t)
	var kind uint32
	switch it.kind {
	case 'd':
		kind = syscall.S_IFDIR
	case 'l':
		kind = syscall.S_IFLNK
	default:
		kind = syscall.S_IFREG
	}
	if uint32(st.Mode)&syscall.S_IFMT != kind { //nolint:unconvert // of another type on macOS
		return "its type is " + fi.Mode().String()
	}
	if !fi.ModTime().Equal(it.mtime) {
		return "its time is " + fi.ModTime().UTC().Format(time.RFC3339Nano) + " instead of " + it.mtime.UTC().Format(time.RFC3339Nano)
	}
	if it.kind == 'l' {
		if target, err := os.Readlink(path); err != nil || target != it.link {
			return "it points to " + target
		}
		return ""
	}
	// Setuid and setgid are not given back.
	if int64(st.Mode)&0o7777 != it.mode&^0o6000 {
		return "its mode is " + fi.Mode().String()
	}
	if it.kind == 'd' {
		return ""
	}
	if st.Nlink != 1 {
		return "it has a second name"
	}
	body, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	if !bytes.Equal(body, it.body) {
		return "its bytes differ"
	}
	return ""
}

// newTarget is a place for a restore, in a folder of its own. It can be removed whatever modes were restored.
func newTarget(t testing.TB) string {
	t.Helper()
	// GNU tar would take a name with a colon for another machine.
	to := filepath.Join(t.TempDir(), "new: maia")
	t.Cleanup(func() {
		err := filepath.WalkDir(filepath.Dir(to), func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				err = os.Chmod(path, 0o700)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
	return to
}
