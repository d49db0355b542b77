package vault

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"maia-dr/engine/repository"
	"maia-dr/engine/stream"
)

const exampleID = "full_20251013_030000"

func exampleContents() *Contents {
	return &Contents{
		BackupID: exampleID,
		Credentials: Credentials{
			CreatedAt: time.Date(2025, 10, 13, 3, 0, 0, 0, time.UTC),
			Sources: []Source{
				{"shell_configs", ".zshrc", map[string]string{"TOKEN": "<a & b>\u2028\"\n", "": ""}},
				{KeychainComponent, "com.example.\xff", map[string]string{"clé": "\U0001f511"}},
			},
		},
		Files: []File{
			{"launchagents", "com.maia.example.plist", 0o644, 1760320800_000000000, []byte("<plist/>")},
			{"maia_code", ".env", 0o600, 1760320800_123456789, []byte("TOKEN=x\n")},
			{"maia_code", "a b/\\n\n\U0001f511", 0o4755, 1, nil},
			{"maia_code", "latin \xe9", 0o700, 999_999_999, bytes.Repeat([]byte{0}, 20_000)},
			{"maia_code", repository.Name(strings.Repeat("long/", 60) + "x"), 0o400, 1760320800_5e8, []byte("x")},
			{"shell_configs", ".netrc", 0o600, 0, bytes.Repeat([]byte("machine x\n"), 51)},
		},
		GitBundle: []byte("# v2 git bundle\n"),
	}
}

func encoded(t testing.TB, c *Contents) []byte {
	t.Helper()
	b, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// normal returns the contents with empty bodies in one shape.
func normal(c *Contents) Contents {
	out := *c
	out.Files = slices.Clone(c.Files)
	for i := range out.Files {
		out.Files[i].Body = append([]byte{}, out.Files[i].Body...)
	}
	return out
}

func TestContentsRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		c := exampleContents()
		c.Files = c.Files[:rng.IntN(len(c.Files)+1)]
		for i := range c.Files {
			if rng.IntN(2) == 0 {
				c.Files[i].ModTimeNS = []int64{math.MinInt64, math.MaxInt64, -1, -1_500_000_000, int64(rng.Uint64())}[rng.IntN(5)]
			}
			if rng.IntN(3) == 0 {
				c.Files[i].Body = make([]byte, rng.IntN(40_000))
			}
		}
		if rng.IntN(2) == 0 {
			c.GitBundle = nil
		}
		b := encoded(t, c)
		if len(b)%padTo != 0 {
			t.Fatalf("%d bytes", len(b))
		}
		got, err := Decode(b, exampleID)
		if err != nil {
			t.Fatal(err)
		}
		if want := normal(c); len(c.Files) > 0 && !reflect.DeepEqual(normal(got), want) {
			t.Fatalf("decoded %v, want %v", got, want)
		}
		shuffled := *c
		shuffled.Files = slices.Clone(c.Files)
		rng.Shuffle(len(c.Files), func(i, j int) { shuffled.Files[i], shuffled.Files[j] = shuffled.Files[j], shuffled.Files[i] })
		if !bytes.Equal(encoded(t, &shuffled), b) || !bytes.Equal(encoded(t, got), b) {
			t.Fatal("the same contents are encoded to other bytes")
		}
	}
}

// The bytes are what FORMAT.md says, word by word.
func TestContentsFormat(t *testing.T) {
	c := &Contents{
		BackupID: exampleID,
		Credentials: Credentials{CreatedAt: time.Date(2025, 10, 13, 5, 0, 0, 0, time.FixedZone("", 7200)),
			Sources: []Source{{"maia_code", ".env", map[string]string{"TOKEN": "a<b"}}}},
		Files:     []File{{"maia_code", "my .env", 0o600, -500_000_000, []byte("TOKEN=a<b\n")}},
		GitBundle: []byte("bundle"),
	}
	members := []string{}
	bodies := map[string]string{}
	for r := tar.NewReader(bytes.NewReader(encoded(t, c))); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r)
		if err != nil || h.Uid != 0 || h.Gid != 0 || h.Uname != "" || h.Mode != 0o600 {
			t.Fatalf("%+v: %v", h, err)
		}
		members = append(members, h.Name)
		bodies[h.Name] = string(body)
	}
	if want := []string{"vault.index", "credentials.json", "files/maia_code/my .env", "git.bundle"}; !slices.Equal(members, want) {
		t.Errorf("members %q, want %q", members, want)
	}
	index := "maia-vault-index 1\nbackup full_20251013_030000\n" +
		"entry f maia_code 600 -1.500000000 10 " + repository.SumHash([]byte("TOKEN=a<b\n")).String() + " my\\0040.env\nend 3\n"
	if got := bodies["vault.index"]; got != index {
		t.Errorf("index\n%s\nwant\n%s", got, index)
	}
	credentials := `{
  "format": 1,
  "backup_id": "full_20251013_030000",
  "created_at": "2025-10-13T03:00:00Z",
  "sources": [
    {
      "component": "maia_code",
      "path": ".env",
      "values": {
        "TOKEN": "a<b"
      }
    }
  ]
}
`
	if got := bodies["credentials.json"]; got != credentials {
		t.Errorf("credentials\n%s\nwant\n%s", got, credentials)
	}
}

func TestEncodeRefuses(t *testing.T) {
	for name, spoil := range map[string]func(c *Contents){
		"no id":                func(c *Contents) { c.BackupID = "" },
		"an id's look":         func(c *Contents) { c.BackupID = "full_20251313_030000" },
		"a path upwards":       func(c *Contents) { c.Files[0].Path = "../x" },
		"an absolute path":     func(c *Contents) { c.Files[0].Path = "/x" },
		"an empty path":        func(c *Contents) { c.Files[0].Path = "" },
		"a NUL":                func(c *Contents) { c.Files[0].Path = "a\x00" },
		"a component":          func(c *Contents) { c.Files[0].Component = "a/b" },
		"no component":         func(c *Contents) { c.Files[0].Component = "" },
		"a mode":               func(c *Contents) { c.Files[0].Mode = 0o100644 },
		"a file twice":         func(c *Contents) { c.Files = append(c.Files, c.Files[2]) },
		"a value in Latin":     func(c *Contents) { c.Credentials.Sources[0].Values["x"] = "\xe9" },
		"a name in Latin":      func(c *Contents) { c.Credentials.Sources[0].Values["\xe9"] = "x" },
		"a year with 5 digits": func(c *Contents) { c.Credentials.CreatedAt = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
	} {
		c := exampleContents()
		spoil(c)
		if b, err := c.Encode(); err == nil {
			t.Errorf("%s: %d bytes", name, len(b))
		}
	}
}

// member is one of a tar that a test makes by hand.
type member struct {
	name string
	body string
	edit func(h *tar.Header)
}

func handmade(t testing.TB, list []member) []byte {
	t.Helper()
	out := append(handmadeBlocks(t, list), stream.Trailer...)
	return append(out, make([]byte, (padTo-len(out)%padTo)%padTo)...)
}

func handmadeBlocks(t testing.TB, list []member) []byte {
	t.Helper()
	var out bytes.Buffer
	for _, m := range list {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: m.name, Size: int64(len(m.body)), Mode: 0o600, Format: tar.FormatPAX, ModTime: time.Unix(1, 0)}
		if m.edit != nil {
			m.edit(h)
		}
		w := tar.NewWriter(&out)
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		out.WriteString(m.body)
		out.Write(make([]byte, stream.Padding(int64(len(m.body)))))
	}
	return out.Bytes()
}

func handmadeMembers() []member {
	a, b := "A=1\n", ""
	index := fmt.Sprintf("maia-vault-index 1\nbackup %s\nentry f maia_code 600 1.000000000 4 %s .env\nentry f maia_code 600 1.000000000 0 %s b\nend 4\n",
		exampleID, repository.SumHash([]byte(a)), repository.SumHash([]byte(b)))
	return []member{
		{"vault.index", index, nil},
		{"credentials.json", `{"format":1,"backup_id":"` + exampleID + `","created_at":"2025-10-13T03:00:00Z","sources":[],"later":1}`, nil},
		{"files/maia_code/.env", a, nil},
		{"files/maia_code/b", b, nil},
		{"git.bundle", "bundle", nil},
	}
}

// hostileTars are vaults by name that must be refused; the one called "good" must not.
func hostileTars(t testing.TB) map[string][]byte {
	out := map[string][]byte{}
	add := func(name string, edit func(list []member) []member) { out[name] = handmade(t, edit(handmadeMembers())) }
	body := func(i int, from, to string) func(list []member) []member {
		return func(list []member) []member {
			if !strings.Contains(list[i].body, from) {
				t.Fatalf("no %q in member %d", from, i)
			}
			list[i].body = strings.Replace(list[i].body, from, to, 1)
			return list
		}
	}
	header := func(i int, edit func(h *tar.Header)) func(list []member) []member {
		return func(list []member) []member { list[i].edit = edit; return list }
	}
	good := handmade(t, handmadeMembers())
	out["good"] = good
	out["empty"] = nil
	out["zeros"] = make([]byte, padTo)
	out["not padded"] = good[:len(good)-512]
	out["padded more than zero"] = append(bytes.Clone(good[:len(good)-1]), 1)
	out["another tar behind"] = append(bytes.Clone(good), good...)
	for i, m := range handmadeMembers() {
		add("without "+m.name, func(list []member) []member { return slices.Delete(list, i, i+1) })
		add("twice "+m.name, func(list []member) []member { return slices.Insert(list, i, list[i]) })
		add("other name "+m.name, func(list []member) []member { list[i].name = "x" + m.name; return list })
		add("a link "+m.name, header(i, func(h *tar.Header) { h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, "x", 0 }))
		add("a folder "+m.name, header(i, func(h *tar.Header) { h.Typeflag, h.Size = tar.TypeDir, 0 }))
		add("a device "+m.name, header(i, func(h *tar.Header) { h.Typeflag, h.Size = tar.TypeChar, 0 }))
		if i > 0 {
			add("out of order "+m.name, func(list []member) []member { list[i-1], list[i] = list[i], list[i-1]; return list })
		}
	}
	delete(out, "without git.bundle") // may be absent
	for _, size := range []int64{6 + padTo, 1 << 40, math.MaxInt64} {
		add(fmt.Sprint("a size of ", size), header(4, func(h *tar.Header) { h.Size = size }))
	}
	for _, n := range []int{0, 512} { // zeros at the end: less than a tar's trailer
		list := handmadeMembers()
		list[4].body = ""
		list[4].body = strings.Repeat("x", padTo-(len(handmadeBlocks(t, list))+n))
		out[fmt.Sprint("an end of ", n)] = handmade(t, list)[:padTo]
	}
	add("empty bundle", func(list []member) []member { list[4].body = ""; return list })
	add("one more", func(list []member) []member { return append(list, member{"files/maia_code/z", "", nil}) })
	add("changed file", body(2, "1", "2"))
	add("longer file", body(2, "1", "11"))
	add("other mode", header(2, func(h *tar.Header) { h.Mode = 0o4755 }))
	add("other time", header(2, func(h *tar.Header) { h.ModTime = time.Unix(1, 1) }))
	add("index: newer", body(0, "index 1", "index 2"))
	add("index: no magic", body(0, "maia-", "Maia-"))
	add("index: cut", body(0, "end 4\n", ""))
	add("index: other end", body(0, "end 4", "end 5"))
	add("index: no line feed", body(0, "end 4\n", "end 4"))
	add("index: more behind", body(0, "end 4\n", "end 4\nx\n"))
	add("index: other backup", body(0, exampleID, "full_20251013_030001"))
	add("index: folder", body(0, "entry f", "entry d"))
	add("index: database", body(0, "entry f", "entry q"))
	add("index: upwards", body(0, " .env", " ../.env"))
	add("index: absolute", body(0, " .env", " /.env"))
	add("index: order", body(0, " .env", " c"))
	add("index: twice", body(0, " .env", " b"))
	add("index: mode", body(0, " 600", " 0600"))
	add("index: size", body(0, " 4 ", " 5 "))
	add("index: huge", body(0, " 4 ", " 4611686018427387903 "))
	add("index: line", body(0, "end", "chunk 0 1 1\nend"))
	add("credentials: newer", body(1, `"format":1`, `"format":2`))
	add("credentials: none", body(1, `"format":1`, `"format":0`))
	add("credentials: other backup", body(1, exampleID, "full_20251013_030001"))
	add("credentials: zone", body(1, "00Z", "00+01:00"))
	add("credentials: twice", body(1, `"later"`, `"format"`))
	add("credentials: two", body(1, "}", "}{}"))
	add("credentials: Latin", body(1, "later", "lat\xe9r"))
	add("credentials: type", body(1, "[]", `"hunter2hunter2"`))
	add("credentials: number", body(1, "[]", `[{"values":{"a":1234567890123}}]`))
	add("credentials: no JSON", body(1, "{", ""))
	sparse := map[string]string{"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "1099511627776", "GNU.sparse.name": "git.bundle"}
	out["sparse"] = sparseMember(t, sparse)
	return out
}

// sparseMember makes git.bundle a sparse file: archive/tar writes none, so the keys are changed afterwards.
func sparseMember(t testing.TB, records map[string]string) []byte {
	t.Helper()
	list := handmadeMembers()
	list[4].body = "1\n0\n1099511627776\n" + strings.Repeat("\x00", 495)
	list[4].edit = func(h *tar.Header) {
		h.PAXRecords = map[string]string{}
		for key, value := range records {
			h.PAXRecords[strings.Replace(key, "GNU.", "GNX.", 1)] = value
		}
	}
	return bytes.ReplaceAll(handmade(t, list), []byte("GNX."), []byte("GNU."))
}

func TestDecodeRefuses(t *testing.T) {
	for name, b := range hostileTars(t) {
		c, err := Decode(b, exampleID)
		if name == "good" {
			if err != nil || len(c.Files) != 2 || string(c.GitBundle) != "bundle" {
				t.Errorf("%s: %v: %v", name, c, err)
			}
			continue
		}
		if !errors.Is(err, repository.ErrDamaged) && !errors.Is(err, repository.ErrNewerFormat) {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "1234567890123") {
			t.Errorf("%s: the error shows a value: %v", name, err)
		}
		if name == "sparse" && !strings.Contains(fmt.Sprint(err), "sparse") {
			t.Errorf("%s: refused for another reason: %v", name, err)
		}
		if newer := strings.Contains(name, "newer"); newer != errors.Is(err, repository.ErrNewerFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Decode(encoded(t, exampleContents()), "full_20251013_030001"); !errors.Is(err, repository.ErrDamaged) {
		t.Errorf("another backup's: %v", err)
	}
}

// Every cut of a vault is noticed, but for one just before the bundle, which may be absent.
func TestDecodeCut(t *testing.T) {
	good := handmade(t, handmadeMembers()[:4])
	end := len(bytes.TrimRight(good, "\x00"))
	for n := 0; n < end; n += 7 {
		cut := make([]byte, len(good))
		copy(cut, good[:n])
		if c, err := Decode(cut, exampleID); err == nil {
			t.Fatalf("cut at %d of %d: %v", n, end, c)
		}
	}
}

// TestSeeds holds that the fuzz target has both seeds that decode and seeds that do not.
func TestContentsSeeds(t *testing.T) {
	good, bad := 0, 0
	for _, b := range contentsSeeds(t) {
		if _, err := Decode(b, exampleID); err == nil {
			good++
		} else {
			bad++
		}
	}
	if good < 3 || bad < 20 {
		t.Errorf("%d good and %d bad seeds", good, bad)
	}
}

func contentsSeeds(t testing.TB) [][]byte {
	seeds := [][]byte{encoded(t, exampleContents()), encoded(t, &Contents{BackupID: exampleID})}
	tars := hostileTars(t)
	for _, name := range slices.Sorted(maps.Keys(tars)) {
		seeds = append(seeds, tars[name])
	}
	return seeds
}

// What is decoded encodes to what decodes the same. Inputs are without the zeros behind, or they would be mostly zeros.
func FuzzDecode(f *testing.F) {
	for _, b := range contentsSeeds(f) {
		f.Add(bytes.TrimRight(b, "\x00"))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		b = slices.Concat(b, stream.Trailer)
		b = append(b, make([]byte, (padTo-len(b)%padTo)%padTo)...)
		c, err := Decode(b, exampleID)
		if err != nil {
			if !errors.Is(err, repository.ErrDamaged) && !errors.Is(err, repository.ErrNewerFormat) {
				t.Fatal(err)
			}
			return
		}
		again := encoded(t, c)
		d, err := Decode(again, exampleID)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(d.Files, c.Files) || !bytes.Equal(d.GitBundle, c.GitBundle) || !bytes.Equal(encoded(t, d), again) {
			t.Fatalf("%v is read as %v", c, d)
		}
	})
}

// An index that is accepted is written in the same bytes, and leads nowhere else.
func FuzzParseIndex(f *testing.F) {
	f.Add([]byte(handmadeMembers()[0].body))
	f.Add([]byte("maia-vault-index 1\nbackup " + exampleID + "\nend 2\n"))
	f.Add([]byte("maia-vault-index 1\nend 1\n"))
	f.Add([]byte(strings.Replace(handmadeMembers()[0].body, "entry f", "entry q", 1)))
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, err := parseIndex(b, exampleID)
		if err != nil {
			return
		}
		if !bytes.Equal(formatIndex(exampleID, entries), b) {
			t.Fatalf("%q is written as %q", b, formatIndex(exampleID, entries))
		}
		for i := range entries {
			if e := entries[i]; e.Type != repository.TypeFile || repository.ValidatePath(string(e.Path)) != nil {
				t.Fatalf("%s %q", e.Type, e.Path)
			}
		}
	})
}
