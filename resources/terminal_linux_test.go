package resources

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// onTerminal runs the script on a terminal of its own and types answers, each when its question is there.
func (m *machine) onTerminal(script string, dialogue [][2]string, args ...string) result {
	m.t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		m.t.Fatal(err)
	}
	defer master.Close()
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		m.t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		m.t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		m.t.Fatal(err)
	}
	before, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		m.t.Fatal(err)
	}
	cmd := m.command(script, args...)
	// The terminal is where questions go, whatever the outputs are.
	cmd.Stdin, cmd.Stdout, cmd.Stderr = nil, tty, tty
	cmd.ExtraFiles = []*os.File{tty}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 3}
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	tty.Close()
	chunks := make(chan []byte)
	go func() {
		defer close(chunks)
		for {
			buf := make([]byte, 4096)
			n, err := master.Read(buf)
			if err != nil {
				return
			}
			chunks <- buf[:n]
		}
	}()
	var out bytes.Buffer
	answered := 0 // of the output
	// A shell that is about to read notices an interrupt only when something is typed: people press the keys again.
	var again <-chan time.Time
	timeout := time.After(2 * time.Minute)
	for open := true; open; {
		select {
		case b, ok := <-chunks:
			open = ok
			out.Write(b)
		case <-again:
			_, _ = master.WriteString("\x03") // it may have ended
		case <-timeout:
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			m.t.Fatalf("no end:\n%s", out.String())
		}
		if len(dialogue) > 0 && bytes.Contains(out.Bytes()[answered:], []byte(dialogue[0][0])) {
			answered = out.Len()
			if _, err := master.WriteString(dialogue[0][1]); err != nil {
				m.t.Fatal(err)
			}
			if strings.HasSuffix(dialogue[0][1], "\x03") {
				again = time.Tick(300 * time.Millisecond)
			}
			dialogue = dialogue[1:]
		}
	}
	_ = cmd.Wait() // the exit code is the result
	if after, err := unix.IoctlGetTermios(fd, unix.TCGETS); err != nil || after.Lflag != before.Lflag {
		m.t.Errorf("the terminal's flags were %x and are %x afterwards: %v", before.Lflag, after.Lflag, err)
	}
	if len(dialogue) > 0 {
		m.t.Fatalf("it never asked %q:\n%s", dialogue[0][0], out.String())
	}
	return result{cmd.ProcessState.ExitCode(), out.String()}
}

// TestQuestions: at most two for one repository, each with a default, and none of them writes before it is answered.
func TestQuestions(t *testing.T) {
	t.Parallel()
	b := smallRepository(t, func(b *builder) { b.created = time.Now().Add(-72 * time.Hour) })
	m := newMachine(t, "tar", "perl")
	script := filepath.Join(b.dir, "restore_maia.sh")
	place := m.home + "/git/maia"
	where, goAhead := "Where shall Maia go? ["+place+"] ", "This backup is 3 days old. Go ahead all the same? [y/N] "

	m.onTerminal(script, [][2]string{{where, "\n"}, {goAhead, "\n"}}).want(t, 130, "PLEASE NOTE: this backup is 3 days old", "Nothing was written")
	m.onTerminal(script, [][2]string{{where, "\n"}, {goAhead, "\x03"}}).want(t, 130, "cancelled")
	m.onTerminal(script, [][2]string{{where, "\x04"}}).want(t, 130, "no answer")
	if _, err := os.Lstat(filepath.Join(m.home, "git")); err == nil {
		t.Fatal("something was written")
	}
	m.onTerminal(script, [][2]string{{where, "~/my place\n"}, {goAhead, "y\n"}}).want(t, 0)
	checkTree(t, m.home+"/my place", b.items)
	m.onTerminal(script, [][2]string{{goAhead, "yes\n"}}, "--to", place).want(t, 0)
	checkTree(t, place, b.items)
	m.onTerminal(script, nil, "--to", place).want(t, 0, "There is nothing to do.")
	m.onTerminal(script, [][2]string{{where, "~/other\n"}, {goAhead, "n\n"}}).want(t, 130, "PLEASE NOTE: "+place+" is there and not empty", place+".before-restore-")

	second := smallRepository(t, nil)
	for name, dir := range map[string]string{"OneDrive-A": b.dir, "OneDrive-B": second.dir} {
		mustMkdir(t, filepath.Join(m.home, "Library/CloudStorage", name))
		mustLink(t, dir, filepath.Join(m.home, "Library/CloudStorage", name, "MaiaBackups"))
	}
	elsewhere := filepath.Join(m.home, "restore_maia.sh")
	write(t, elsewhere, RestoreScript)
	m.onTerminal(elsewhere, [][2]string{{"Which one? [1] ", "2\n"}, {"This backup is 3 hours old. Go ahead? [Y/n] ", "n\n"}}, "--to", m.home+"/x").want(t, 130, "  from   "+second.dir)
	m.onTerminal(elsewhere, [][2]string{{"Which one? [1] ", "2\n"}, {"Go ahead? [Y/n] ", "\n"}}, "--to", m.home+"/x").want(t, 0)
	checkTree(t, m.home+"/x", second.items)
	m.onTerminal(elsewhere, [][2]string{{"Which one? [1] ", "3\n"}}, "--to", m.home+"/x").want(t, 2, "there is no number 3")
}

// TestStrippedQuestion: a backup without a vault beside others that have one is not restored by pressing the key.
func TestStrippedQuestion(t *testing.T) {
	t.Parallel()
	b, forged := strippedRepository(t)
	m := newMachine(t, "tar", "perl")
	to := filepath.Join(m.home, "x")
	m.onTerminal(filepath.Join(b.dir, "restore_maia.sh"), [][2]string{{"and others have a vault. Go ahead all the same? [y/N] ", "\n"}}, "--to", to).
		want(t, 130, "Restore "+forged.id, "Nothing was written")
	if _, err := os.Lstat(to); err == nil {
		t.Error("something was written")
	}
}

// TestPackagesQuestion: it is the last one, yes is its default, and no is an answer.
func TestPackagesQuestion(t *testing.T) {
	t.Parallel()
	b := packagesRepository(t)
	m := newMachine(t, "bsdtar", "perl")
	log := filepath.Join(filepath.Dir(m.home), "log")
	m.wrapBrew(log)
	write(t, log+".jq", nil) // not killed
	args := []string{"--to", m.home + "/maia", "--vault-password-file", m.passwordFile("correct horse")}
	const goAhead, install = "Go ahead? [Y/n] ", "Install them when the files are in place? They can wait (--only packages). [Y/n] "
	script := filepath.Join(b.dir, "restore_maia.sh")
	r := m.onTerminal(script, [][2]string{{goAhead, "\n"}, {install, "n\n"}}, args...)
	r.want(t, 0, "from these sources of others, which are trusted then: other/tools")
	if _, err := os.Stat(log); err == nil {
		t.Error("packages were installed in spite of the answer")
	}
	m.onTerminal(script, [][2]string{{install, "\n"}}, append(args, "--only", "packages")...).want(t, 3, "brew broken: see its log")
}

// TestToolsComeFirst: on a Mac from its box there are neither the Command Line Tools nor Homebrew. Where somebody sits there,
// they are installed before the packages, each as macOS has it, and announced; without a question more.
func TestToolsComeFirst(t *testing.T) {
	t.Parallel()
	b := packagesRepository(t)
	m := newMachine(t, "bsdtar", "perl")
	dir := filepath.Dir(m.home)
	log := filepath.Join(dir, "log")
	m.wrapBrew(log)
	write(t, log+".jq", nil) // not killed
	brew := filepath.Join(dir, "homebrew")
	if err := os.Rename(filepath.Join(m.bin, "brew"), brew); err != nil {
		t.Fatal(err)
	}
	sh := "#!" + filepath.Join(m.bin, "sh") + "\n"
	m.program("xcode-select", sh+"case $1 in --install) echo tools >> '"+log+"'; : > '"+log+".tools' ;; *) [ -f '"+log+".tools' ] || exit 2 ;; esac\n")
	m.program("sudo", sh+"echo sudo \"$*\" >> '"+log+"'\n")
	m.program("curl", sh+`out=
for word; do if [ "$out" = next ]; then out=$word; fi; if [ "$word" = -o ]; then out=next; fi; done
echo "curl $word" >> '`+log+`'
echo "echo homebrew \$NONINTERACTIVE >> '`+log+`'; ln -s '`+brew+`' '`+filepath.Join(m.bin, "brew")+`'" > "$out"
`)
	args := []string{"--to", m.home + "/maia", "--vault-password-file", m.passwordFile("correct horse")}
	r := m.onTerminal(filepath.Join(b.dir, "restore_maia.sh"), [][2]string{{"Go ahead? [Y/n] ", "\n"}, {"They can wait (--only packages). [Y/n] ", "\n"}}, args...)
	r.want(t, 3, "first the Command Line Tools", "first Homebrew", "macOS asks for the password of this Mac", "brew broken: see its log")
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	last := -1
	for _, want := range []string{"tools\n", "curl https://raw.githubusercontent.com/Homebrew/install/HEAD/install.sh\n", "sudo -v\n", "homebrew 1\n", "brew install --formula jq"} {
		at := strings.Index(string(text), want)
		if at <= last {
			t.Errorf("%q is not there, or too early:\n%s", want, text)
		}
		last = at
	}
	// Who said --yes is asked for nothing, by macOS neither.
	for _, path := range []string{filepath.Join(m.bin, "brew"), log, log + ".tools"} {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	args[1] = m.home + "/again"
	m.onTerminal(filepath.Join(b.dir, "restore_maia.sh"), nil, append(args, "--yes")...).want(t, 3, "xcode-select --install", "brew jq: no Homebrew yet")
	if text, err := os.ReadFile(log); err == nil && strings.Contains(string(text), "tools\n") || err == nil && strings.Contains(string(text), "sudo") {
		t.Errorf("macOS would have asked:\n%s", text)
	}
}
