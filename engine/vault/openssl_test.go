package vault

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"maia-dr/packaging/ci/faults/matrix"
)

// openssl runs the program, with a password on descriptor 3 and input on standard input.
func openssl(t testing.TB, pass string, input []byte, args ...string) []byte {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := w.WriteString(pass + "\n"); err != nil { // fits into the pipe
		t.Fatal(err)
	}
	w.Close()
	cmd := exec.Command("openssl", args...)
	cmd.Stdin = bytes.NewReader(input)
	cmd.ExtraFiles = []*os.File{r}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("openssl %q: %v: %s", args, err, stderr.Bytes())
	}
	return out
}

func encArgs(iterations int, more ...string) []string {
	return append([]string{"enc", "-aes-256-cbc", "-pbkdf2", "-iter", strconv.Itoa(iterations), "-md", "sha256", "-pass", "fd:3"}, more...)
}

func randomSizes() []int { return []int{0, 1, 15, 16, 17, 1000, 16384, 70_001} }

// openssl opens what Go seals, and Go opens what openssl seals, for every password.
func TestOpenSSLBothWays(t *testing.T) {
	faults := matrix.Of(t, "18", "19")
	sizes := randomSizes()
	for i, text := range awkwardPasswords {
		faults.Inject()
		p := password(t, text)
		k := quickKeys(t, p)
		plain := bytes.Repeat([]byte("contents\x00\xff\n"), sizes[i%len(sizes)]/11+1)[:sizes[i%len(sizes)]]
		if got := openssl(t, text, k.Seal(plain), encArgs(fewRounds, "-d")...); !bytes.Equal(got, plain) {
			t.Errorf("password %d: openssl opens %d other bytes", i, len(got))
		}
		theirs := openssl(t, text, plain, encArgs(fewRounds, "-e", "-salt")...)
		if got, err := open(p, fewRounds, theirs); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("password %d: Go opens %d bytes of openssl's: %v", i, len(got), err)
		}
	}
}

func TestOpenSSLAtFullStrength(t *testing.T) {
	const text = ` $pa"ss \w'ord ` + "\U0001f511 "
	plain := bytes.Repeat([]byte("contents\n"), 5000)
	theirs := openssl(t, text, plain, encArgs(Iterations, "-e", "-salt")...)
	if got, err := Open(password(t, text), Iterations, theirs); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("%d bytes: %v", len(got), err)
	}
}

var keyLine = regexp.MustCompile(`(?m)^key=([0-9A-F]{64})$`)

// The restore script has no other way to the MAC: a key from enc -P, and HMAC from the digests of padded keys.
func TestOpenSSLMakesTheMAC(t *testing.T) {
	index := bytes.Repeat([]byte("index\x00\xff"), 999)
	for i, text := range awkwardPasswords {
		mac := quickKeys(t, password(t, text)).MAC(index)
		m, err := parseMAC(mac)
		if err != nil {
			t.Fatal(err)
		}
		out := openssl(t, text, nil, encArgs(m.Iterations, "-P", "-S", hex.EncodeToString(m.salt[:]))...)
		found := keyLine.FindSubmatch(out)
		if found == nil {
			t.Fatalf("password %d: no key in what openssl printed", i)
		}
		key, err := hex.DecodeString(string(found[1]))
		if err != nil {
			t.Fatal(err)
		}
		direct := openssl(t, "", index, "dgst", "-sha256", "-mac", "HMAC", "-macopt", "hexkey:"+hex.EncodeToString(key), "-binary")
		padded := func(with byte) []byte {
			b := bytes.Repeat([]byte{with}, 64)
			for i := range key {
				b[i] ^= key[i]
			}
			return b
		}
		inner := openssl(t, "", append(padded(0x36), index...), "dgst", "-sha256", "-binary")
		outer := openssl(t, "", append(padded(0x5c), inner...), "dgst", "-sha256", "-binary")
		last := fmt.Sprintf("\nhmac-sha256 %x\n", outer)
		if !bytes.Equal(direct, outer) || !strings.HasSuffix(string(mac), last) {
			t.Errorf("password %d: openssl makes another MAC than Go", i)
		}
	}
}

// openssl and tar, which a fresh Mac has, get every file out of a vault.
func TestOpenSSLAndTarRestore(t *testing.T) {
	const text = "correct horse"
	c := exampleContents()
	plain, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	opened := openssl(t, text, quickKeys(t, password(t, text)).Seal(plain), encArgs(fewRounds, "-d")...)
	dir := t.TempDir()
	cmd := exec.Command("tar", "-xpf", "-", "-C", dir)
	cmd.Stdin = bytes.NewReader(opened)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("tar: %v: %s", err, out)
	}
	for _, f := range c.Files {
		name := filepath.Join(dir, f.member())
		b, err := os.ReadFile(name)
		if err != nil || !bytes.Equal(b, f.Body) {
			t.Errorf("%v: %v", f, err)
			continue
		}
		if info, err := os.Stat(name); err != nil || uint32(info.Mode().Perm()) != f.Mode&0o777 || info.ModTime().UnixNano() != f.ModTimeNS {
			t.Errorf("%v: %v %v: %v", f, info.Mode(), info.ModTime().UnixNano(), err)
		}
	}
	if b, err := os.ReadFile(filepath.Join(dir, GitBundleName)); err != nil || !bytes.Equal(b, c.GitBundle) {
		t.Errorf("git bundle: %v", err)
	}
}
