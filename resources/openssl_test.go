package resources

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The 600,000 rounds of a key are what the script's tests would take most of their time for, and nearly all of them ask
// openssl the same: the same password, salt and bytes. So on a machine of these tests openssl is asked each question of
// that kind once, and its answer is kept for the others. What is no answer, an exit code, is not kept. Tests that look at
// openssl itself wrap it, and so have the real one.

// askOnce is the name under which this program stands in for openssl, in a folder that has the answers.
const askOnce = "openssl-once"

// answers is the folder of askOnce.
var answers string

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == askOnce {
		os.Exit(ask(filepath.Dir(os.Args[0]), os.Args[1], os.Args[2:]))
	}
	os.Exit(withAnswers(m.Run))
}

func withAnswers(run func() int) int {
	self, err := os.Executable()
	if err == nil {
		answers, err = os.MkdirTemp("", "maia-openssl")
	}
	if err == nil {
		defer os.RemoveAll(answers)
		err = os.Symlink(self, filepath.Join(answers, askOnce))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return run()
}

// ask is what the stand-in does: program with args, or what it answered before to the same with the same input. It returns
// the exit code.
func ask(dir, program string, args []string) int {
	code, err := func() (int, error) {
		password, err := io.ReadAll(os.NewFile(9, "fd:9"))
		if err != nil {
			return 1, err
		}
		input, err := io.ReadAll(os.Stdin)
		if err != nil {
			return 1, err
		}
		path := filepath.Join(dir, fmt.Sprintf("%x", sha256.Sum256(fmt.Appendf(nil, "%q %q %q", args, password, input))))
		// Whoever asks the same meanwhile waits for the answer.
		lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return 1, err
		}
		defer lock.Close()
		if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
			return 1, err
		}
		answer, err := os.ReadFile(path)
		if err != nil {
			code := 0
			if answer, code, err = derive(program, args, password, input); err != nil || code != 0 {
				return code, err
			}
			if err := os.WriteFile(path+".new", answer, 0o600); err != nil {
				return 1, err
			}
			if err := os.Rename(path+".new", path); err != nil {
				return 1, err
			}
		}
		_, err = os.Stdout.Write(answer)
		return 0, err
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, askOnce+":", err)
		return max(code, 1)
	}
	return code
}

// derive runs openssl itself, the password on descriptor 9 as the script gives it.
func derive(program string, args []string, password, input []byte) (answer []byte, code int, err error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, 1, err
	}
	defer read.Close()
	// A password fits into any pipe.
	if _, err := write.Write(password); err != nil {
		return nil, 1, err
	}
	if err := write.Close(); err != nil {
		return nil, 1, err
	}
	cmd := exec.Command(program, args...)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(input), os.Stderr
	cmd.ExtraFiles = []*os.File{6: read} // the first one is descriptor 3
	answer, err = cmd.Output()
	if cmd.ProcessState == nil {
		return nil, 1, err
	}
	return answer, cmd.ProcessState.ExitCode(), nil
}

// askOpensslOnce has openssl derive each key once for all machines.
func (m *machine) askOpensslOnce() {
	m.t.Helper()
	m.wrap("openssl", `case " $* " in *" -iter 600000 "*) exec '`+filepath.Join(answers, askOnce)+`' REAL "$@" ;; esac; exec REAL "$@"`)
}

// TestAskOnce: the stand-in gives openssl's own answers, to each question another one, and keeps no failure.
func TestAskOnce(t *testing.T) {
	t.Parallel()
	real, err := exec.LookPath("openssl")
	if err != nil {
		t.Fatal(err)
	}
	m := newMachine(t, "tar")
	openssl := func(program, password, input string, args ...string) (string, int) {
		t.Helper()
		file, err := os.Open(m.passwordFile(password))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		cmd := exec.Command(program, append([]string{"enc", "-aes-256-cbc", "-pbkdf2", "-iter", "600000", "-md", "sha256", "-pass", "fd:9"}, args...)...)
		cmd.Stdin, cmd.ExtraFiles = strings.NewReader(input), []*os.File{6: file}
		out, _ := cmd.Output()
		return string(out), cmd.ProcessState.ExitCode()
	}
	seen := map[string]bool{}
	for _, password := range []string{"a\n", "b\n"} {
		for _, salt := range []string{"0000000000000001", "0000000000000002"} {
			want, code := openssl(real, password, "", "-P", "-S", salt)
			for range 2 {
				if got, exit := openssl(filepath.Join(m.bin, "openssl"), password, "", "-P", "-S", salt); got != want || exit != code || code != 0 || got == "" {
					t.Errorf("%q %s: %q with %d, want %q with %d", password, salt, got, exit, want, code)
				}
			}
			if seen[want] {
				t.Errorf("%q %s: the answer to another question", password, salt)
			}
			seen[want] = true
		}
	}
	for range 2 {
		if got, exit := openssl(filepath.Join(m.bin, "openssl"), "a\n", "no vault", "-d"); got != "" || exit == 0 {
			t.Errorf("what cannot be opened: %q with %d", got, exit)
		}
	}
}
