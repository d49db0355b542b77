package cli_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"maia-dr/engine/fixture"
)

// line is a question on the terminal and what the person types.
type line struct{ question, answer string }

// onTerminal runs a command on a terminal of its own and types answers, each when its question is there. It returns what
// was seen on the screen.
func onTerminal(t *testing.T, cmd *exec.Cmd, dialogue []line) string {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tty.Close()
	var screen bytes.Buffer
	seen := 0
	buf := make([]byte, 4096)
	for {
		n, err := master.Read(buf) // an error is the end of the last process on the terminal
		screen.Write(buf[:n])
		if err != nil {
			break
		}
		if len(dialogue) > 0 && bytes.Contains(screen.Bytes()[seen:], []byte(dialogue[0].question)) {
			seen = screen.Len()
			if _, err := master.WriteString(dialogue[0].answer + "\n"); err != nil {
				t.Fatal(err)
			}
			dialogue = dialogue[1:]
		}
	}
	_ = cmd.Wait() // the exit code is looked at by the caller
	text := strings.ReplaceAll(screen.String(), "\r\n", "\n")
	if len(dialogue) > 0 {
		t.Fatalf("it never asked %q:\n%s", dialogue[0].question, text)
	}
	return text
}

// TestSetupAtATerminal is the first run and the way out as a person sees them, with the real program on a real terminal:
// a folder that is not found by itself, two OneDrive accounts, a password with a slip, a time of day.
func TestSetupAtATerminal(t *testing.T) {
	base := t.TempDir()
	fix, err := fixture.Make(t.Context(), fixture.Options{Base: filepath.Join(base, "mac"), Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	root, second := filepath.Join(fix.Home, "my work"), filepath.Join(filepath.Dir(fix.OneDrive), "OneDrive-Contoso")
	bin := filepath.Join(base, "bin")
	self, err := os.Executable()
	git, gerr := exec.LookPath("git")
	if err = errors.Join(err, gerr); err == nil {
		err = os.Rename(fix.Root, root)
	}
	for _, do := range []func() error{
		func() error { return os.Mkdir(second, 0o700) },
		func() error { return os.Mkdir(bin, 0o700) },
		func() error { return os.Symlink(self, filepath.Join(bin, "maia-dr")) },
		func() error { return os.Symlink(git, filepath.Join(bin, "git")) },
	} {
		if err == nil {
			err = do()
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	run := func(exit int, dialogue []line, args ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, filepath.Join(bin, "maia-dr"), args...)
		cmd.Dir = base
		cmd.Env = []string{"PATH=" + bin, "HOME=" + fix.Home, "TZ=" + noon(time.Now()), "TERM=xterm", "COLUMNS=100", useTerminal + "=1",
			"MAIA_TEST_EXECUTABLE=" + filepath.Join(bin, "maia-dr"), "MAIA_TEST_SYSTEMCTL=" + filepath.Join(base, "systemctl")}
		screen := onTerminal(t, cmd, dialogue)
		if code := cmd.ProcessState.ExitCode(); code != exit {
			t.Fatalf("maia-dr %v: exit code %d, want %d\n%s", args, code, exit, screen)
		}
		return screen
	}
	// Ctrl-C at a question, and the Return after it: nothing further is done.
	if screen := run(130, []line{{"Which folder is Maia? ", "\x03"}}, "setup"); !strings.Contains(screen, "Maia root: failed: cancelled") || strings.Contains(screen, "2 of 8") {
		t.Errorf("it went on after Ctrl-C:\n%s", screen)
	}
	screen := run(130, []line{{"Which folder is Maia? ", "~/my work"}, {"Which one is for the backups? [number] ", "2"}, {"New vault password: ", "\x03"}}, "setup")
	if _, err := os.Lstat(filepath.Join(fix.OneDrive, "MaiaBackups")); err == nil || strings.Contains(screen, "4 of 8") {
		t.Errorf("it went on after Ctrl-C:\n%s", screen)
	}
	if err := os.Remove(filepath.Join(fix.Home, ".config", "maia-dr", "config.toml")); err != nil {
		t.Fatal(err)
	}
	const password = "seven grey herons over the weir"
	screen = run(0, []line{
		{"Which folder is Maia? ", "~/nowhere"}, {"Which folder is Maia? ", "~/my work"},
		{"Which one is for the backups? [number] ", "3"}, {"Which one is for the backups? [number] ", "2"},
		{"New vault password: ", password}, {"Once more: ", "a slip"}, {"New vault password: ", password}, {"Once more: ", password},
		{"When should the daily backup begin? [03:00] ", "half past"}, {"When should the daily backup begin? [03:00] ", "02:45"},
	}, "setup")
	for _, want := range []string{
		"Maia root: " + root, "is none of the numbers", "The two differ", "First backup: full_", "Restore drill: passed", "a backup every day at 02:45",
		"Recovery sheet: ", "Maia is safe",
	} {
		if !strings.Contains(screen, want) {
			t.Errorf("it does not say %q:\n%s", want, screen)
		}
	}
	if strings.Contains(screen, password) || strings.Contains(screen, "a slip") {
		t.Error("what was typed as a password is on the screen")
	}
	// In another shell, in another folder, everything is found now.
	if out := run(3, nil, "status"); !strings.Contains(out, "Restore: proven") {
		t.Errorf("%s", out)
	}
	if out := run(0, nil, "schedule", "status"); !strings.Contains(out, "daily at 02:45") {
		t.Errorf("%s", out)
	}
	if screen := run(130, []line{{"Uninstall? [y/N] ", "\x03"}}, "uninstall"); strings.Contains(screen, "Removed") {
		t.Errorf("it went on after Ctrl-C:\n%s", screen)
	}
	screen = run(0, []line{{"Uninstall? [y/N] ", "y"}}, "uninstall")
	for _, want := range []string{"1 backup stays in " + fix.OneDrive, "restore_maia.sh", "Removed com.maia.disaster-recovery"} {
		if !strings.Contains(screen, want) {
			t.Errorf("it does not say %q:\n%s", want, screen)
		}
	}
	for _, gone := range []string{".local/state/maia-dr", ".config/maia-dr", ".config/systemd/user/com.maia.disaster-recovery.timer"} {
		if _, err := os.Lstat(filepath.Join(fix.Home, gone)); !os.IsNotExist(err) {
			t.Errorf("%s is still there", gone)
		}
	}
	if b, err := os.ReadFile(filepath.Join(fix.OneDrive, "MaiaBackups", "repository.json")); err != nil || len(b) == 0 {
		t.Errorf("the backups are gone: %v", err)
	}
}
