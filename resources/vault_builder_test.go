package resources

import (
	"archive/tar"
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// vault is the sealed part of a backup. It is written here from the specification, as the rest of the repository is, so
// that the script is compared with another hand than the engine's.
type vault struct {
	password   string
	iterations int
	// files are the whole ones, none is a folder or a link.
	files []item
	// absent are secret-bearing files that are in no part of the backup.
	absent []item
	// editIndex may change the lines of vault.index, without the last one.
	editIndex func(lines []string) []string
}

var macSalt, vaultSalt = []byte("\x00\x01\x80\xffsalt"), []byte("other$%\n")

// keys are those that were derived: the many rounds are what these tests take their time for.
var keys sync.Map

func (v *vault) key(t testing.TB, salt []byte, n int) []byte {
	t.Helper()
	id := fmt.Sprintf("%q %q %d %d", v.password, salt, v.iterations, n)
	if key, ok := keys.Load(id); ok {
		return key.([]byte)
	}
	key, err := pbkdf2.Key(sha256.New, v.password, salt, v.iterations, n)
	if err != nil {
		t.Fatal(err)
	}
	keys.Store(id, key)
	return key
}

func (v *vault) mac(t testing.TB, index []byte) []byte {
	t.Helper()
	h := hmac.New(sha256.New, v.key(t, macSalt, 32))
	h.Write(index)
	return fmt.Appendf(nil, "maia-restore-mac 1\npbkdf2-hmac-sha256 %d %x\nhmac-sha256 %x\n", v.iterations, macSalt, h.Sum(nil))
}

// lines are those of the restore index.
func (v *vault) lines() []string {
	type secret struct {
		it       item
		captured int
	}
	var all []secret
	for _, it := range v.files {
		all = append(all, secret{it, 1})
	}
	for _, it := range v.absent {
		all = append(all, secret{it, 0})
	}
	slices.SortFunc(all, func(a, b secret) int {
		return strings.Compare(a.it.component+"\x00"+a.it.path, b.it.component+"\x00"+b.it.path)
	})
	lines := []string{"password 1"}
	for _, s := range all {
		lines = append(lines, fmt.Sprintf("secret %d %s %s", s.captured, s.it.component, encode(s.it.path)))
	}
	return lines
}

func (v *vault) seal(t testing.TB, id string) []byte {
	t.Helper()
	lines := []string{"maia-vault-index 1", "backup " + id}
	for _, it := range v.files {
		lines = append(lines, fmt.Sprintf("entry f %s %o %s %d %s %s", it.component, it.mode, seconds(it.mtime), len(it.body), hashOf(it.body), encode(it.path)))
	}
	if v.editIndex != nil {
		lines = v.editIndex(lines)
	}
	lines = append(lines, fmt.Sprintf("end %d", len(lines)))
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	put := func(name string, body []byte) {
		if err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Size: int64(len(body)), Mode: 0o600, ModTime: time.Unix(1, 0), Format: tar.FormatPAX}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(body); err != nil {
			t.Fatal(err)
		}
	}
	put("vault.index", []byte(strings.Join(lines, "\n")+"\n"))
	put("credentials.json", []byte(`{"format":1}`))
	for _, it := range v.files {
		put("files/"+it.component+"/"+it.path, it.body)
	}
	put("git.bundle", []byte("# v2 git bundle\n"))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if rest := out.Len() % 16384; rest > 0 {
		out.Write(make([]byte, 16384-rest))
	}
	key := v.key(t, vaultSalt, 48)
	block, err := aes.NewCipher(key[:32])
	if err != nil {
		t.Fatal(err)
	}
	pad := aes.BlockSize - out.Len()%aes.BlockSize
	out.Write(bytes.Repeat([]byte{byte(pad)}, pad))
	sealed := out.Bytes()
	cipher.NewCBCEncrypter(block, key[32:]).CryptBlocks(sealed, sealed)
	return slices.Concat([]byte("Salted__"), vaultSalt, sealed)
}

// secretValue is in the whole files, and in nothing else.
const secretValue = "sk-live-0123456789abcdef"

// vaultRepository is small's with a vault: of three files the backup has a copy without their secrets, a fourth is only in
// the vault, a fifth nowhere.
func vaultRepository(t testing.TB, edit func(*builder)) *builder {
	t.Helper()
	return smallRepository(t, func(b *builder) {
		when := time.Date(2025, 9, 1, 2, 3, 4, 5_000_000, time.UTC)
		b.vault = &vault{password: "correct horse", iterations: 600_000}
		whole := func(component, path string, mode int64) {
			b.vault.files = append(b.vault.files, item{component: component, kind: 'f', path: path, mode: mode, mtime: when, body: []byte("key=" + secretValue + " " + path)})
		}
		whole("launchagents", "com.maia.sync.plist", 0o644)
		whole("maia_code", "keys/new\nline $(x) ü.py", 0o640)
		whole("maia_code", "tools/run.sh", 0o755)
		whole("shell_configs", ".zshrc", 0o600)
		b.vault.absent = []item{{component: "maia_code", kind: 'f', path: "tools/huge credentials"}}
		if edit != nil {
			edit(b)
		}
	})
}

// whole are the items as they are restored from the vault; the folders that no entry names are not among them.
func (b *builder) whole() (out []item) {
	for _, it := range b.items {
		if !slices.ContainsFunc(b.vault.files, func(w item) bool { return w.component == it.component && w.path == it.path }) {
			out = append(out, it)
		}
	}
	for _, it := range b.vault.files {
		if it.mode&0o100 != 0 {
			it.mode = 0o700
		} else {
			it.mode = 0o600
		}
		out = append(out, it)
	}
	return out
}

// passwordFile returns a file that holds body.
func (m *machine) passwordFile(body string) string {
	m.t.Helper()
	path := filepath.Join(m.home, "password")
	write(m.t, path, []byte(body))
	return path
}
