package resources

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestAskPassword: three tries on the terminal, none of them shown, each wrong one told; an empty answer goes on without.
func TestAskPassword(t *testing.T) {
	t.Parallel()
	b := vaultRepository(t, func(b *builder) { b.vault.password = "p ä$s" })
	script := filepath.Join(b.dir, "restore_maia.sh")
	m := newMachine(t, "tar", "perl")
	m.tool("stty", "stty")
	const question, goAhead, wrong = "Vault password (not shown; nothing: go on without it): ", "Go ahead? [Y/n] ", "The password is wrong, or the backup was changed"
	to := newTarget(t)
	r := m.onTerminal(script, [][2]string{{question, "first wrong\n"}, {question, " p ä$s\n"}, {question, "p ä$s\n"}, {goAhead, "y\n"}}, "--to", to)
	r.want(t, 0, "  authenticated: ")
	m.checkBoth(to, b.whole(), "keys")
	if n := strings.Count(r.text, wrong); n != 2 || strings.Contains(r.text, "p ä$s") || strings.Contains(r.text, "first wrong") {
		t.Errorf("told %d times, or a password is shown:\n%s", n, r.text)
	}
	to = newTarget(t)
	r = m.onTerminal(script, [][2]string{{question, "1\n"}, {question, "2\n"}, {question, "3\n"}, {goAhead, "y\n"}}, "--to", to)
	r.want(t, 3, append(wholeNames, "not authenticated: the vault password was wrong three times", "NOT COMPLETE")...)
	checkTree(t, to, b.items)
	m.onTerminal(script, [][2]string{{question, "\n"}, {goAhead, "n\n"}}, "--to", newTarget(t)).want(t, 130, "not authenticated: no vault password was given")
	m.onTerminal(script, [][2]string{{question, "half\x03"}}, "--to", newTarget(t)).want(t, 130, "cancelled")
}

// TestSecretsStay: while the script runs, neither the password nor a key or secret is in the arguments or the environment of
// any process, nor in a file outside the folder that only the user can enter; and afterwards in none but the restored files.
func TestSecretsStay(t *testing.T) {
	t.Parallel()
	const password = "unique-password-7f3a9c"
	b := vaultRepository(t, func(b *builder) { b.vault.password = password })
	m := newMachine(t, "tar", "perl")
	// Slow ones, so that there is something to be seen; variables of an environment that would be passed on.
	for _, tool := range []string{"openssl", "awk", "cat"} {
		m.wrap(tool, `case " $* " in *" fd:9 "*|*-binary*) sleep 0.2 ;; esac; exec REAL "$@"`)
	}
	m.env = []string{"SHELLOPTS=allexport", "PASSWORD=x", "KEY=x", "REPLY=x", "inner=x", "outer=x", "byte=x", "octal=x"}
	to := newTarget(t)
	key := fmt.Sprintf("%x", b.vault.key(t, macSalt, 32))
	needles := [][]byte{[]byte(password), []byte(key), []byte(strings.ToUpper(key)), []byte(innerPad(b.vault.key(t, macSalt, 32)))}

	done := make(chan struct{})
	var watch sync.WaitGroup
	var looked, opened int
	seen := map[string]bool{}
	watch.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			for _, path := range glob(t, "/proc/[0-9]*/cmdline") {
				command, err := os.ReadFile(path)
				if err != nil {
					continue // it has ended
				}
				environment, err := os.ReadFile(filepath.Join(filepath.Dir(path), "environ"))
				if err != nil {
					continue
				}
				looked++
				if bytes.Contains(command, []byte("\x00fd:9\x00")) {
					opened++
				}
				for i, n := range needles {
					if bytes.Contains(command, n) || bytes.Contains(environment, n) {
						seen[fmt.Sprintf("secret %d in a process %q", i, bytes.Fields(bytes.ReplaceAll(command, []byte{0}, []byte(" ")))[0])] = true
					}
				}
			}
			for _, where := range findSecrets(m.tmp, append(needles, []byte(secretValue))) {
				seen[where] = true
			}
			time.Sleep(3 * time.Millisecond)
		}
	})
	r := m.run(filepath.Join(b.dir, "restore_maia.sh"), "--to", to, "--yes", "--vault-password-file", m.passwordFile(password))
	close(done)
	watch.Wait()
	r.want(t, 0, "  authenticated: ")
	for where := range seen {
		t.Error(where)
	}
	if looked < 1000 || opened < 3 {
		t.Errorf("%d looks at a process, %d of them at an openssl with the password: too few", looked, opened)
	}
	if strings.Contains(r.text, password) {
		t.Error("the password is in the output")
	}
	m.checkBoth(to, b.whole(), "keys")
	if err := os.Remove(filepath.Join(m.home, "password")); err != nil {
		t.Fatal(err)
	}
	whole := append(findSecrets(to, [][]byte{[]byte(secretValue)}), findSecrets(m.home, [][]byte{[]byte(secretValue)})...)
	if len(findSecrets(to, needles))+len(findSecrets(m.home, needles)) > 0 || len(whole) != len(b.vault.files) {
		t.Error("a secret is where it should not be")
	}
}

// innerPad is the beginning of what the script gives to printf as the inner key of the HMAC.
func innerPad(key []byte) string {
	var out strings.Builder
	for _, b := range key[:8] {
		fmt.Fprintf(&out, `\0%03o`, b^0x36)
	}
	return out.String()
}

// findSecrets names the files below dir that hold one.
func findSecrets(dir string, needles [][]byte) (found []string) {
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil //nolint:nilerr // files come and go
		}
		body, err := os.ReadFile(path)
		if err != nil {
			return nil //nolint:nilerr // files come and go
		}
		for _, n := range needles {
			if bytes.Contains(body, n) {
				found = append(found, "a secret in "+path)
				break
			}
		}
		return nil
	})
	return found
}
