package repository

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"maia-dr/packaging/ci/faults/matrix"
)

// gzipLines compresses lines as they are.
func gzipLines(t testing.TB, lines []byte) []byte {
	t.Helper()
	if len(lines) <= 65535 {
		return storedGzip(lines)
	}
	t.Fatal("too many lines for storedGzip")
	return nil
}

var hostileNames = []string{
	"a", "-", "--", "-rf", "a b", " ", "a\nb", "a\n", "\n", "\\", `\0141`, `\n`, "$(x)", "`x`", ";", "*", "'", `"`, "ä", "\xff\xfe", "日本", "~", "%s",
	"base64:YQ==", "base64:", "tab\there", "\x01\x7f\x80", "\U0001f600", strings.Repeat("x", 255), "claude/\r", "#", "end 1", "a\u2028b",
}

func randomName(rng *rand.Rand) string {
	if rng.IntN(3) == 0 {
		return hostileNames[rng.IntN(len(hostileNames))]
	}
	b := randomBytes(rng, 1+rng.IntN(20))
	for i := range b {
		if b[i] == 0 || b[i] == '/' {
			b[i] = 'x'
		}
	}
	return string(b)
}

var wildTimes = []int64{0, 1, -1, 999999999, 1e9, -1e9, -1500000000, 1760320800123456789, 4102444800e9, math.MaxInt64, math.MinInt64}

// randomGit is nil, or a repository with names that git would never allow: an index is data.
func randomGit(rng *rand.Rand) *Git {
	if rng.IntN(2) == 0 {
		return nil
	}
	commit := func() string { return fmt.Sprintf("%x", randomBytes(rng, 20+12*rng.IntN(2))) }
	g := &Git{Head: commit(), Changed: rng.IntN(9), Unknown: rng.IntN(9), Unpushed: rng.IntN(9), Stashes: rng.IntN(9)}
	if rng.IntN(2) == 0 {
		g.Branch = randomName(rng)
	}
	for range rng.IntN(3) {
		b := GitBranch{Name: randomName(rng), Commit: commit()}
		if rng.IntN(2) == 0 {
			b.Remote, b.Merge = randomName(rng), randomName(rng)
		}
		g.Branches = append(g.Branches, b)
	}
	for range rng.IntN(3) {
		g.Remotes = append(g.Remotes, GitRemote{randomName(rng), randomName(rng)})
	}
	return g
}

func randomRestoreIndex(rng *rand.Rand) *RestoreIndex {
	hash := func() Hash { return Hash(randomBytes(rng, 32)) }
	x := &RestoreIndex{
		BackupID: exampleID, CreatedAt: time.Unix(rng.Int64N(1<<33), 0).UTC(), Program: randomName(rng), RepositoryID: testRepositoryID,
		Root: "/" + randomName(rng), Home: randomName(rng),
	}
	for range rng.IntN(3) {
		x.OldRoots = append(x.OldRoots, randomName(rng))
	}
	if rng.IntN(2) == 0 {
		x.Prefix = randomName(rng)
	}
	x.Git = randomGit(rng)
	for range rng.IntN(3) {
		x.Versions = append(x.Versions, Version{"macos", randomName(rng)})
		x.Pythons = append(x.Pythons, Python{rng.IntN(1000), rng.IntN(2) == 0, randomName(rng), randomName(rng)})
		x.Environments = append(x.Environments, Environment{Name("env/" + strings.Repeat("x", 1+rng.IntN(9))), randomName(rng), randomName(rng)})
	}
	if rng.IntN(2) == 0 {
		x.Password = 1 + rng.IntN(1000)
	}
	x.Secrets = randomSecrets(rng)
	for i := range rng.IntN(4) {
		x.Files = append(x.Files, FileRef{fmt.Sprintf("f%d.txt", i), rng.Int64N(1 << 40), hash()})
	}
	for range rng.IntN(4) {
		x.Chunks = append(x.Chunks, ChunkRef{hash(), 1 + rng.Int64N(MaxChunkBytes), 1 + rng.Int64N(MaxChunkBytes)})
	}
	for range rng.IntN(5) {
		s := Stream{Component: "maia_code"}
		for range rng.IntN(6) {
			if len(x.Chunks) == 0 {
				break
			}
			c := rng.IntN(len(x.Chunks))
			off := rng.Int64N(x.Chunks[c].RawBytes)
			s.Extents = append(s.Extents, Extent{c, off, 1 + rng.Int64N(x.Chunks[c].RawBytes-off)})
		}
		if rng.IntN(2) == 0 {
			s.Component = "maia_data_large"
			s.Database = &Database{SHA256: hash(), Mode: uint32(rng.IntN(0o10000)), ModTime: rng.Int64N(1<<34) - 1<<33, Path: Name(randomName(rng))}
			if ValidatePath(string(s.Database.Path)) != nil {
				s.Database.Path = "db"
			}
		}
		x.Streams = append(x.Streams, s)
	}
	for range rng.IntN(20) {
		x.Entries = append(x.Entries, randomFile(rng))
	}
	return x
}

// randomSecrets returns secrets as an index has them: sorted, none twice; nil if there are none.
func randomSecrets(rng *rand.Rand) (out []IndexSecret) {
	for range rng.IntN(6) {
		s := IndexSecret{Component: []string{"maia_code", "launchagents", "shell_configs"}[rng.IntN(3)], Path: Name(randomName(rng)), Captured: rng.IntN(2) == 0}
		if ValidatePath(string(s.Path)) == nil && !slices.ContainsFunc(out, func(o IndexSecret) bool { return compareSecrets(o, s) == 0 }) {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, compareSecrets)
	return out
}

// randomFile returns a valid file whose Offset is 0: the restore index does not have it.
func randomFile(rng *rand.Rand) File {
	types := []string{TypeFile, TypeDatabase, TypeLarge, TypeDir, TypeSymlink}
	f := File{Component: "maia_code", Type: types[rng.IntN(len(types))], Mode: uint32(rng.IntN(0o10000)), ModTimeNS: int64(rng.Uint64())}
	for f.Path == "" || ValidatePath(string(f.Path)) != nil {
		f.Path = Name(randomName(rng))
		if rng.IntN(2) == 0 {
			f.Path += "/" + Name(randomName(rng))
		}
	}
	if rng.IntN(3) == 0 {
		f.ModTimeNS = wildTimes[rng.IntN(len(wildTimes))]
	}
	if f.HasContent() {
		h := Hash(randomBytes(rng, 32))
		f.SHA256, f.SizeBytes = &h, rng.Int64N(1<<40)
	}
	if f.Type == TypeSymlink {
		f.Link = Name(randomName(rng))
	}
	return f
}

func TestRestoreIndexRoundTrip(t *testing.T) {
	for seed := range uint64(150) {
		x := randomRestoreIndex(rand.New(rand.NewPCG(seed, 1)))
		b, err := x.Encode(nil)
		if err != nil {
			t.Fatal(err)
		}
		y, err := DecodeRestoreIndex(b)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if !reflect.DeepEqual(x, y) || !x.Equal(y) {
			t.Fatalf("seed %d: %+v\nwant %+v", seed, y, x)
		}
		lines, err := DecodeRestoreIndexLines(b)
		if err != nil || !bytes.Contains(lines, []byte("\nbackup "+exampleID+"\n")) {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// The index of a backup says what its manifest and its file list say.
func TestRestoreIndexOfManifest(t *testing.T) {
	x := newExample(t)
	y, err := DecodeRestoreIndex(gzipLines(t, x.lines(t)))
	if err != nil {
		t.Fatal(err)
	}
	if !y.Equal(x.index) || y.Home != "/Users/me" || len(y.Files) != len(x.manifest.Files)+1 || len(x.manifest.Files) != 2 {
		t.Errorf("%+v", y)
	}
	last := y.Files[len(y.Files)-1]
	if last != (FileRef{ManifestName, int64(len(x.raw)), SumHash(x.raw)}) {
		t.Errorf("the manifest is listed as %+v", last)
	}
	if !reflect.DeepEqual(y.Chunks, x.manifest.Chunks) || len(y.Streams) != 2 || len(y.Entries) != len(x.files) {
		t.Errorf("%+v", y)
	}
}

// withVault is the example with a vault and three secret-bearing files, which its manifest does not have in order.
func withVault(t testing.TB) *example {
	t.Helper()
	x := newExample(t)
	x.manifest.PasswordNumber = 2
	x.manifest.Coverage.Secrets = []SecretRef{
		{Component: "shell_configs", Path: ".zshrc", Reason: "it assigns secrets", Names: []string{"TOKEN"}, Captured: true},
		{Component: "maia_code", Path: "tools/-", Reason: "its name"},
		{Component: "maia_code", Path: "tools/two words\n.py", Reason: "its name", Captured: true},
		{Component: "maia_code", Path: "tools/-", Reason: "it assigns secrets"},
	}
	x.encode(t)
	return x
}

// A vault and secret-bearing files stand before the files, in the order of components and paths.
func TestRestoreIndexOfVault(t *testing.T) {
	x := withVault(t)
	want := "maia\npassword 2\nsecret 0 maia_code tools/-\nsecret 1 maia_code tools/two\\0040words\\0012.py\nsecret 1 shell_configs .zshrc\nfile "
	lines := x.lines(t)
	if !strings.Contains(string(lines), want) {
		t.Errorf("the index is\n%s", lines)
	}
	y, err := DecodeRestoreIndex(gzipLines(t, lines))
	if err != nil || !y.Equal(x.index) || y.Password != 2 || len(y.Secrets) != 3 || y.Secrets[0].Captured || !y.Secrets[2].Captured {
		t.Errorf("%v %+v", err, y)
	}
	for what, edit := range map[string][2]string{
		"password 0":            {"password 2", "password 0"},
		"password, zero":        {"password 2", "password 02"},
		"password, no number":   {"password 2", "password x"},
		"password too large":    {"password 2", "password 4294967296"},
		"password after it":     {"password 2\nsecret 0 maia_code tools/-\n", "secret 0 maia_code tools/-\npassword 2\n"},
		"captured 2":            {"secret 1 shell_configs", "secret 2 shell_configs"},
		"captured 01":           {"secret 1 shell_configs", "secret 01 shell_configs"},
		"captured -":            {"secret 0 maia_code", "secret - maia_code"},
		"secret outside":        {".zshrc", "../.zshrc"},
		"secret without a path": {"shell_configs .zshrc", "shell_configs -"},
		"odd component":         {"secret 1 shell_configs", "secret 1 zzz/configs"},
		"order of components":   {"secret 1 shell_configs", "secret 1 launchagents"},
		"order of paths":        {"secret 0 maia_code tools/-", "secret 0 maia_code tools/z"},
		"twice":                 {"secret 1 shell_configs .zshrc", `secret 1 maia_code tools/two\0040words\0012.py`},
		"a field more":          {".zshrc", ".zshrc x"},
		"a field less":          {"secret 1 shell_configs .zshrc", "secret 1 shell_configs"},
	} {
		b := strings.Replace(string(lines), edit[0], edit[1], 1)
		if b == string(lines) {
			t.Errorf("%s: the edit changes nothing", what)
		}
		if y, err := DecodeRestoreIndex(storedGzip([]byte(b))); !errors.Is(err, ErrDamaged) || y != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// withPrefix are the lines of withVault on a machine with Homebrew.
func withPrefix(t testing.TB) []byte {
	t.Helper()
	lines := string(withVault(t).lines(t))
	n := strings.Count(lines, "\n")
	lines = strings.Replace(lines, "password 2\n", "prefix /opt/home\\0040brew\npassword 2\n", 1)
	return []byte(strings.Replace(lines, fmt.Sprintf("end %d\n", n-1), fmt.Sprintf("end %d\n", n), 1))
}

// The Homebrew prefix stands between the old roots and the password, or nowhere.
func TestRestoreIndexPrefix(t *testing.T) {
	x := withVault(t)
	lines := string(withPrefix(t))
	y, err := DecodeRestoreIndex(gzipLines(t, []byte(lines)))
	if err != nil || y.Prefix != "/opt/home brew" || y.Equal(x.index) {
		t.Fatalf("%v %+v", err, y)
	}
	x.index = NewRestoreIndex(x.manifest, x.raw, x.files, Origin{Home: y.Home, OldRoots: y.OldRoots, Prefix: y.Prefix, Git: y.Git, Versions: y.Versions, Pythons: y.Pythons, Environments: y.Environments})
	if !y.Equal(x.index) || string(x.lines(t)) != lines {
		t.Errorf("the index is\n%s\nwant\n%s", x.lines(t), lines)
	}
	for what, edit := range map[string][2]string{
		"empty":        {`prefix /opt/home\0040brew`, "prefix -"},
		"a field more": {`prefix /opt/home\0040brew`, "prefix /opt/home brew"},
		"twice":        {"password 2\n", "prefix /opt\n"},
		"after it":     {"prefix /opt/home\\0040brew\npassword 2\n", "password 2\nprefix /opt/home\\0040brew\n"},
		"before":       {"oldroot /Users/old\\0040name/maia\nprefix /opt/home\\0040brew\n", "prefix /opt/home\\0040brew\noldroot /Users/old\\0040name/maia\n"},
	} {
		b := strings.Replace(lines, edit[0], edit[1], 1)
		if b == lines {
			t.Errorf("%s: the edit changes nothing", what)
		}
		if y, err := DecodeRestoreIndex(storedGzip([]byte(b))); !errors.Is(err, ErrDamaged) || y != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// The lists that compress best, empty files with long names, are read; what holds more than they could is not.
func TestListLimit(t *testing.T) {
	matrix.Count(t, 1, "23")
	x := newExample(t)
	sum := SumHash(nil)
	dir := strings.Repeat("d", 200) + "/" + strings.Repeat("e", 200) + "/" + strings.Repeat("f", 250) + "/" + strings.Repeat("g", 250) + "/" + strings.Repeat("h", 250) + "/" + strings.Repeat("h", 250)
	for i := range 5_000 {
		x.files = append(x.files, File{Component: "maia_code", Path: Name(fmt.Sprintf("%s/%s/%06d", dir, dir, i)), Type: TypeFile, SHA256: &sum})
	}
	x.encode(t)
	gz, err := x.index.Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	if lines, err := DecodeRestoreIndexLines(gz); err != nil || len(lines) < 100*len(gz) {
		t.Errorf("%d bytes of gzip hold %d: %v", len(gz), len(lines), err)
	}
	list, err := EncodeFiles(x.files, nil)
	if err != nil {
		t.Fatal(err)
	}
	if files, err := DecodeFiles(list); err != nil || len(files) != len(x.files) {
		t.Errorf("%d files: %v", len(files), err)
	}
	bomb := gzipOf(t, bytes.Repeat([]byte("\n"), 4<<20))
	if _, err := DecodeRestoreIndexLines(bomb); !errors.Is(err, ErrDamaged) {
		t.Errorf("%d bytes of gzip hold 4 MB: %v", len(bomb), err)
	}
	spaces := gzipOf(t, append([]byte("{"), bytes.Repeat([]byte(" \n"), 4<<20)...))
	if _, err := DecodeFiles(spaces); !errors.Is(err, ErrDamaged) {
		t.Errorf("%d bytes of gzip hold 8 MB: %v", len(spaces), err)
	}
	if _, err := DecodeRestoreIndexLines(make([]byte, maxIndexFile+1)); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
}

func TestRestoreIndexTruncated(t *testing.T) {
	faults := matrix.Of(t, "16")
	x := newExample(t)
	gz, err := x.index.Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	for n := range gz {
		faults.Inject()
		if _, err := DecodeRestoreIndex(gz[:n]); !errors.Is(err, ErrDamaged) {
			t.Fatalf("%d of %d bytes: %v", n, len(gz), err)
		}
	}
	lines := x.lines(t)
	for n := range lines {
		if _, err := DecodeRestoreIndex(storedGzip(lines[:n])); !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNewerFormat) {
			t.Fatalf("%d of %d bytes of lines: %v", n, len(lines), err)
		}
	}
	split := strings.SplitAfter(string(lines), "\n")
	for i := range split[:len(split)-1] {
		less := strings.Join(split[:i], "") + strings.Join(split[i+1:], "")
		if _, err := DecodeRestoreIndex(storedGzip([]byte(less))); !errors.Is(err, ErrDamaged) {
			t.Errorf("without line %q: %v", split[i], err)
		}
		twice := strings.Join(split[:i+1], "") + strings.Join(split[i:], "")
		if _, err := DecodeRestoreIndex(storedGzip([]byte(twice))); !errors.Is(err, ErrDamaged) {
			t.Errorf("twice line %q: %v", split[i], err)
		}
	}
}

// A flipped bit of the gzip file is found, or does not matter (the header's flags and time).
func TestRestoreIndexFlipped(t *testing.T) {
	faults := matrix.Of(t, "15")
	x := newExample(t)
	gz, err := x.index.Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range gz {
		for bit := range 8 {
			faults.Inject()
			b := bytes.Clone(gz)
			b[i] ^= 1 << bit
			y, err := DecodeRestoreIndex(b)
			if err == nil && !y.Equal(x.index) {
				t.Fatalf("byte %d, bit %d: another index is read", i, bit)
			}
			if err != nil && !errors.Is(err, ErrDamaged) {
				t.Fatalf("byte %d, bit %d: %v", i, bit, err)
			}
		}
	}
}

func TestRestoreIndexNewerFormat(t *testing.T) {
	matrix.Count(t, 1, "32")
	b := storedGzip([]byte("maia-restore-index 2\nanything\n"))
	if _, err := DecodeRestoreIndex(b); !errors.Is(err, ErrNewerFormat) || errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
}

// Each edit keeps the number of lines and makes an index that must be refused: wrong, or in another spelling.
func TestRestoreIndexRefuses(t *testing.T) {
	faults := matrix.Of(t, "17")
	x := newExample(t)
	lines := string(x.lines(t))
	sum := x.manifest.Chunks[0].SHA256.String()
	for what, edit := range map[string][2]string{
		"no magic":              {"maia-restore-index 1", "maia-restore-list 1"},
		"id":                    {"backup full_20251013_030000", "backup full_20251313_030000"},
		"two times":             {"created 1760324400 ", "created 1760324401 "},
		"time in a zone":        {"2025-10-13T03:00:00Z", "2025-10-13T05:00:00+02:00"},
		"fraction":              {"03:00:00Z", "03:00:00.5Z"},
		"two spaces":            {"program 0.1.0", "program  0.1.0"},
		"space at the end":      {"program 0.1.0", "program 0.1.0 "},
		"carriage return":       {"program 0.1.0\n", "program 0.1.0\r\n"},
		"empty field":           {"program 0.1.0", "program "},
		"escaped for nothing":   {"program 0.1.0", `program \0060.1.0`},
		"short escape":          {"program 0.1.0", `program 0\010`},
		"escape above 255":      {"program 0.1.0", `program \0400`},
		"other escape":          {"program 0.1.0", `program \n`},
		"raw byte":              {"program 0.1.0", "program \xff"},
		"order":                 {"root /Users/me/maia\nhome /Users/me\n", "home /Users/me\nroot /Users/me/maia\n"},
		"root twice":            {"root /Users/me/maia\nhome /Users/me\n", "root /Users/me/maia\nroot /Users/me/maia\n"},
		"unknown line":          {"oldroot ", "newroot "},
		"blank line":            {"oldroot /Users/old\\0040name/maia", ""},
		"file with a path":      {"ed files.jsonl.gz", "ed ../files.jsonl.gz"},
		"file with a dot":       {"ed files.jsonl.gz", "ed .files.jsonl.gz"},
		"leading zero":          {"file 706 ", "file 0706 "},
		"negative":              {"file 706 ", "file -706 "},
		"sign":                  {"file 706 ", "file +706 "},
		"hash in capitals":      {"chunk 0 11287 11264 " + sum, "chunk 0 11287 11264 " + strings.ToUpper(sum)},
		"hash too long":         {sum + "\n", sum + "0\n"},
		"chunk number":          {"chunk 0 ", "chunk 1 "},
		"chunk of nothing":      {" 11264 ", " 0 "},
		"chunk too large":       {" 11264 ", " 48000001 "},
		"chunk too small":       {" 11264 ", " 11263 "},
		"stream number":         {"stream 1 ", "stream 2 "},
		"stream kind":           {"stream 0 tar ", "stream 0 zip "},
		"tar with a hash":       {"maia_code 3072 1\n", "maia_code 3072 1 " + sum + " 644 0 x\n"},
		"stream of no name":     {"stream 0 tar maia_code", "stream 0 tar "},
		"stream of odd name":    {"stream 0 tar maia_code", "stream 0 tar ../x"},
		"stream longer":         {"maia_code 3072 1\n", "maia_code 3073 1\n"},
		"too many extents":      {"maia_code 3072 1\n", "maia_code 3072 2\n"},
		"too few extents":       {"maia_code 3072 1\n", "maia_code 3072 0\n"},
		"endless extents":       {"maia_code 3072 1\n", "maia_code 3072 999999999999\n"},
		"extent outside":        {"x 0 3072 8192", "x 0 3073 8192"},
		"extent of no chunk":    {"x 0 0 3072", "x 1 0 3072"},
		"extent of nothing":     {"x 0 0 3072", "x 0 0 0"},
		"database outside":      {"1760320800 claude/data/tickets.db", "1760320800 ../tickets.db"},
		"database's mode":       {" 600 1760320800 claude", " 100600 1760320800 claude"},
		"mode in decimal":       {" 600 1760320800 claude", " 689 1760320800 claude"},
		"type":                  {"entry d ", "entry x "},
		"folder with a hash":    {"0 - claude\n", "0 " + sum + " claude\n"},
		"file without a hash":   {"7 " + SumHash([]byte("# Maia\n")).String(), "7 -"},
		"file with a target":    {" CLAUDE.md\n", " CLAUDE.md x\n"},
		"link without a target": {" ../CLAUDE.md", ""},
		"link to nothing":       {" ../CLAUDE.md", " -"},
		"entry outside":         {" CLAUDE.md\n", " /CLAUDE.md\n"},
		"entry up":              {" CLAUDE.md\n", " claude/../../x\n"},
		"entry without a path":  {" CLAUDE.md\n", " -\n"},
		"entry's component":     {"entry d maia_code", "entry d Maia"},
		"whole seconds":         {"755 1760320800.000000000", "755 1760320800"},
		"eight digits":          {"755 1760320800.000000000", "755 1760320800.00000000"},
		"minus zero":            {"755 1760320800.000000000", "755 -0.000000000"},
		"beyond all times":      {"755 1760320800.000000000", "755 99999999999.000000000"},
		"just beyond":           {"755 1760320800.000000000", "755 9223372036.854775808"},
		"sign in the fraction":  {"755 1760320800.000000000", "755 1760320800.+00000000"},
		"count":                 {"end 21", "end 22"},
		"after the end":         {"end 21\n", "end 21\nend 22\n"},
		"two ends":              {"oldroot /Users/old\\0040name/maia", "end 7"},
		"NUL":                   {"program 0.1.0", "program 0\x00"},
	} {
		faults.Inject()
		b := strings.Replace(lines, edit[0], edit[1], 1)
		if b == lines {
			t.Errorf("%s: the edit changes nothing", what)
		}
		if y, err := DecodeRestoreIndex(storedGzip([]byte(b))); !errors.Is(err, ErrDamaged) || y != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestSeconds(t *testing.T) {
	for ns, want := range map[int64]string{
		0: "0.000000000", 1: "0.000000001", -1: "-1.999999999", -500_000_000: "-1.500000000", -1_000_000_000: "-1.000000000",
		1_760_320_800_000_000_001: "1760320800.000000001", math.MaxInt64: "9223372036.854775807", math.MinInt64: "-9223372037.145224192",
	} {
		got := formatSeconds(ns)
		back, err := parseSeconds(got)
		if got != want || err != nil || back != ns {
			t.Errorf("%d: %s, want %s; back %d %v", ns, got, want, back, err)
		}
	}
}
