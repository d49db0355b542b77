package resources

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"maia-dr/packaging/ci/faults/matrix"
)

// names of what cannot be had whole without the vault, as the script prints them.
var wholeNames = []string{
	"  maia-recovered/home/Library/LaunchAgents/com.maia.sync.plist: ", `  keys/new\0012line\0040$(x)\0040\0303\0274.py: `, "  tools/run.sh: ", "  maia-recovered/home/.zshrc: ",
}

const absentName = "  tools/huge credentials: is in no part of this backup"

// TestVault: with the password, whole files stand where copies without their secrets would, and only their owner can read
// them. Nothing is left of the vault.
func TestVault(t *testing.T) {
	t.Parallel()
	b := vaultRepository(t, nil)
	script := filepath.Join(b.dir, "restore_maia.sh")
	for i, program := range []string{"tar", "bsdtar"} {
		t.Run(program, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t, program, "perl")
			to := newTarget(t)
			args := []string{"--to", to, "--yes", "--vault-password-file", m.passwordFile("correct horse" + strings.Repeat("\n", i))}
			m.run(script, append(args, "--dry-run")...).want(t, 0, "  authenticated: ", "4 files with secrets come whole", absentName)
			if _, err := os.Lstat(to); err == nil {
				t.Fatal("a dry run wrote something")
			}
			r := m.run(script, args...)
			r.want(t, 0, "  authenticated: ", "credentials.json, and git.bundle if there is one, stay in the vault", absentName)
			if strings.Contains(r.text, wholeNames[0]) || strings.Contains(r.text, "not authenticated") {
				t.Errorf("it says too much:\n%s", r.text)
			}
			m.checkBoth(to, b.whole(), "keys")
			r = m.run(script, args...)
			r.want(t, 0, "There is nothing to do.")
			m.checkBoth(to, b.whole(), "keys")
			// A part.
			part := newTarget(t)
			m = newMachine(t, program, "perl")
			args[len(args)-1] = m.passwordFile("correct horse")
			m.run(script, append(args, "--to", part, "--only", "secrets")...).want(t, 0, "4 files (0 databases)")
			m.checkBoth(part, b.vault.wholeOnly(b), "keys", "tools")
			m.run(script, append(args, "--to", part, "--only", "launchagents")...).want(t, 0, "There is nothing to do.")
		})
	}
}

// wholeOnly are the files of the vault.
func (v *vault) wholeOnly(b *builder) []item {
	all := b.whole()
	return all[len(all)-len(v.files):]
}

// TestNoPassword: without the password everything else is restored, what is missing is named, and nothing is called authentic.
func TestNoPassword(t *testing.T) {
	t.Parallel()
	b := vaultRepository(t, nil)
	script := filepath.Join(b.dir, "restore_maia.sh")
	m := newMachine(t, "tar", "perl")
	to := newTarget(t)
	r := m.run(script, "--to", to, "--yes")
	r.want(t, 3, append(wholeNames, absentName, "  not authenticated: no vault password was given", "NOT COMPLETE: the vault was not opened", "without its secrets", "is only in the vault")...)
	checkTree(t, to, b.items)
	r = m.run(script, "--to", to, "--yes")
	r.want(t, 3, append(wholeNames, "There is nothing to do.", "NOT COMPLETE")...)
	r = m.run(script, "--to", newTarget(t), "--yes", "--only", "maia_data_small")
	r.want(t, 0, "not authenticated", "Everything that was asked for")
	if strings.Contains(r.text, "NOT COMPLETE") {
		t.Errorf("nothing of it is in the vault:\n%s", r.text)
	}
	m.run(script, "--to", newTarget(t), "--yes", "--only", "launchagents").want(t, 3, wholeNames[0])
	m.run(script, "--to", newTarget(t), "--yes", "--only", "secrets").want(t, 12, "the vault was not opened")
	// With it, the whole files replace the copies, which are kept.
	m.run(script, "--to", to, "--yes", "--vault-password-file", m.passwordFile("correct horse")).want(t, 0)
	_, beside := split(b.items)
	strangers := []string{"keys", "maia-recovered/home/.zshrc", "maia-recovered/home/Library/LaunchAgents/com.maia.sync.plist"}
	if len(beside) != 2 {
		t.Fatalf("%d personal files", len(beside))
	}
	m.checkBoth(to, b.whole(), strangers...)
	if got, err := os.ReadFile(filepath.Join(aside(t, to), "tools/run.sh")); err != nil || string(got) != "#!/bin/sh\n" {
		t.Errorf("the copy: %q %v", got, err)
	}
}

// TestPasswords: each password opens what was sealed with it, and no other one.
func TestPasswords(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "19")
	for i, password := range []string{
		"x", " leading", "trailing ", "  ", `back\slash\n\0101\\`, `"double" 'single'`, "$HOME `id` $(id) ${x}", "%s%n%%", "pass:word", "-n", "-", "*", "\t tab",
		"emoji 🎫 ü e\u0301 日本", "\xff\xfe\x80 not UTF-8", "\x01\x02\x7f\x1b", strings.Repeat("ü", 256), "!history!", "~", "#",
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			faults.Inject()
			t.Parallel()
			b := vaultRepository(t, func(b *builder) { b.vault.password = password })
			script := filepath.Join(b.dir, "restore_maia.sh")
			m := newMachine(t, []string{"tar", "bsdtar"}[i%2], "perl")
			dry := []string{"--dry-run", "--to", newTarget(t), "--vault-password-file"}
			file := m.passwordFile(password)
			if i%2 == 0 {
				m.run(script, append(dry, file)...).want(t, 0, "  authenticated: ", "4 files with secrets")
			} else {
				cmd := m.command(script, append(dry, "-")...)
				cmd.Stdin = strings.NewReader(password + "\n")
				if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("  authenticated: ")) {
					t.Errorf("from standard input: %v\n%s", err, out)
				}
			}
			last := []byte(password)
			last[len(last)-1] ^= 4
			wrong := string(last)
			if i%3 > 0 && len(password) < 512 {
				wrong = password + " "
			}
			m.run(script, append(dry, m.passwordFile(wrong))...).want(t, 12, "password is wrong, or restore.index.gz of "+b.id+" was changed")
		})
	}
}

// TestChangedVault: whatever was changed of index, MAC or vault is found, and with a password nothing is restored that it does
// not prove.
func TestChangedVault(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "17")
	replace := func(old, new string) func([]byte) []byte {
		return func(b []byte) []byte {
			if !bytes.Contains(b, []byte(old)) {
				panic("nothing to replace")
			}
			return bytes.Replace(b, []byte(old), []byte(new), 1)
		}
	}
	flip := func(at int) func([]byte) []byte {
		return func(b []byte) []byte { b[(at+len(b))%len(b)] ^= 4; return b }
	}
	gone := func([]byte) []byte { return nil }
	const proven = "  authenticated: "
	for i, c := range []struct {
		file   string
		change func([]byte) []byte
		code   int
		says   []string
	}{
		{"restore.index.gz", flip(4), 12, []string{"password is wrong, or restore.index.gz"}}, // the time in the header of gzip
		{"restore.mac", replace("600000", "600001"), 12, nil},
		{"restore.mac", replace("000180ff", "000180fe"), 12, nil},
		{"restore.mac", func(b []byte) []byte { b[len(b)-2] = "10"[b[len(b)-2]&1]; return b }, 12, nil},
		{"restore.mac", replace("600000", "599999"), 12, []string{"its restore.mac asks for fewer than 600000"}},
		{"restore.mac", replace("600000", "10000001"), 12, []string{"its restore.mac asks for"}},
		{"restore.mac", replace("600000", "99999999999999999999"), 12, []string{"its restore.mac asks for"}},
		{"restore.mac", replace("600000", "0600000"), 12, []string{"its restore.mac is damaged"}},
		{"restore.mac", replace("600000", "6e5"), 12, []string{"its restore.mac is damaged"}},
		{"restore.mac", replace("600000 ", "600000  "), 12, []string{"its restore.mac is damaged"}},
		{"restore.mac", replace("80ff", "80FF"), 12, []string{"its restore.mac is damaged"}},
		{"restore.mac", replace("\nhmac", "\n\nhmac"), 12, []string{"its restore.mac is damaged"}},
		{"restore.mac", replace("-sha256 6", "-sha512 6"), 12, []string{"its restore.mac is damaged"}},
		{"restore.mac", func(b []byte) []byte { return b[:len(b)-1] }, 12, []string{"its restore.mac is damaged"}},
		{"restore.mac", func(b []byte) []byte { return append(b, 0) }, 12, []string{"its restore.mac is damaged"}},
		{"restore.mac", func([]byte) []byte { return make([]byte, 5000) }, 12, []string{"its restore.mac is damaged"}},
		{"restore.mac", replace("mac 1", "mac 2"), 12, []string{"its restore.mac was written by a newer"}},
		{"restore.mac", gone, 12, []string{"passed over: its vault or its restore.mac is not there"}},
		{"credentials.vault.enc", flip(-1), 3, []string{proven, "credentials.vault.enc is damaged", "NOT COMPLETE: credentials.vault.enc is missing or damaged"}},
		{"credentials.vault.enc", flip(10), 3, []string{proven, "credentials.vault.enc is damaged"}},
		{"credentials.vault.enc", gone, 3, []string{proven, "credentials.vault.enc is missing"}},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			faults.Inject()
			t.Parallel()
			b := vaultRepository(t, nil)
			path := filepath.Join(b.dir, b.id, c.file)
			edit(t, path, c.change)
			if fi, err := os.Stat(path); err == nil && fi.Size() == 0 {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			}
			m := newMachine(t, "tar", "perl")
			to := newTarget(t)
			r := m.run(filepath.Join(b.dir, "restore_maia.sh"), "--to", to, "--yes", "--vault-password-file", m.passwordFile("correct horse"))
			r.want(t, c.code, c.says...)
			if c.code == 12 {
				if _, err := os.Lstat(to); err == nil {
					t.Error("something was written")
				}
				return
			}
			m.checkBoth(to, b.items)
			r.want(t, 3, append(m.wholeNames(), "NOT COMPLETE")...)
		})
	}
}

// TestOtherBackup: index and MAC of another backup, both authentic, do not pass for this one's.
func TestOtherBackup(t *testing.T) {
	t.Parallel()
	b := vaultRepository(t, nil)
	older := filepath.Join(b.dir, "full_20240101_000000")
	if err := os.Rename(filepath.Join(b.dir, b.id), older); err != nil {
		t.Fatal(err)
	}
	m := newMachine(t, "tar", "perl")
	m.run(filepath.Join(b.dir, "restore_maia.sh"), "--to", newTarget(t), "--yes", "--vault-password-file", m.passwordFile("correct horse")).
		want(t, 1, "its restore.index.gz belongs to "+b.id)
}

// TestHostileVault: a vault that contradicts itself or the backup is not opened; everything else is restored.
func TestHostileVault(t *testing.T) {
	t.Parallel()
	sum := hashOf([]byte("x"))
	entry := func(what string) func([]string) []string {
		return func(lines []string) []string { return append(lines, "entry "+what) }
	}
	tail := " 600 1.000000000 1 " + sum + " "
	for name, change := range map[string]func([]string) []string{
		"dotdot": entry("f maia_code" + tail + "../escape"), "absolute": entry("f maia_code" + tail + "/escape"), "folder": entry("d maia_code 755 1.000000000 0 - keys"),
		"component": entry("f dependencies" + tail + "Brewfile"), "database": entry("f maia_data_large" + tail + "claude/data/tickets.db"),
		"twice": entry("f maia_code" + tail + "tools/run.sh"), "a link": entry("f maia_code" + tail + "link"), "below a file": entry("f maia_code" + tail + "CLAUDE.md/x"),
		"above a file": entry("f maia_code" + tail + "tools"), "above its own": entry("f maia_code" + tail + "keys"), "mode": entry("f maia_code 17777 1.000000000 1 " + sum + " a"),
		"line": func(l []string) []string { return append(l, "run x") }, "other backup": func(l []string) []string { l[1] = "backup full_20240101_000000"; return l },
		"newer": func(l []string) []string { l[0] = "maia-vault-index 2"; return l }, "nothing": func([]string) []string { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := vaultRepository(t, func(b *builder) { b.vault.editIndex = change })
			m := newMachine(t, "bsdtar", "perl")
			to := newTarget(t)
			m.run(filepath.Join(b.dir, "restore_maia.sh"), "--to", to, "--yes", "--vault-password-file", m.passwordFile("correct horse")).
				want(t, 3, append(m.wholeNames(), "  authenticated: ", "NOT COMPLETE: ", "its vault")...)
			m.checkBoth(to, b.items)
		})
	}
	// A file of the vault that is not what its list says is missing, and named.
	b := vaultRepository(t, func(b *builder) {
		b.vault.editIndex = func(lines []string) []string {
			for i := range lines {
				lines[i] = strings.Replace(lines[i], hashOf(b.vault.files[2].body), sum, 1)
			}
			return lines
		}
	})
	m := newMachine(t, "tar", "perl")
	to := newTarget(t)
	m.run(filepath.Join(b.dir, "restore_maia.sh"), "--to", to, "--yes", "--vault-password-file", m.passwordFile("correct horse")).
		want(t, 3, "  tools/run.sh: its bytes are not what they were")
}

// TestOldOpenssl: one without -pbkdf2, and one that derives another key, are told; with the password nothing is restored then, and
// without it everything but the secrets.
func TestOldOpenssl(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "18")
	b := vaultRepository(t, nil)
	for _, text := range []string{
		`case " $* " in *' -pbkdf2 '*) echo 'unknown option -pbkdf2' >&2; exit 1 ;; esac; exec REAL "$@"`,
		`case " $* " in *' -P '*) echo key=0000; exit 0 ;; esac; exec REAL "$@"`,
	} {
		faults.Inject()
		m := newMachine(t, "tar", "perl")
		m.wrap("openssl", text)
		to := newTarget(t)
		script := filepath.Join(b.dir, "restore_maia.sh")
		m.run(script, "--to", to, "--yes", "--vault-password-file", m.passwordFile("correct horse")).
			want(t, 12, "the openssl here cannot check it", "macOS 12.0 to 12.2")
		m.run(script, "--to", to, "--yes").want(t, 3, append(wholeNames, "not authenticated: the openssl here cannot check it")...)
		checkTree(t, to, b.items)
	}
}
