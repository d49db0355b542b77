package repository

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"maia-dr/packaging/ci/faults/matrix"
)

func TestManifestRoundTrip(t *testing.T) {
	x := newExample(t)
	m, err := DecodeManifest(x.raw)
	if err != nil {
		t.Fatal(err)
	}
	again, err := m.Encode()
	if err != nil || !bytes.Equal(again, x.raw) {
		t.Errorf("%v:\n%s", err, again)
	}
	m.MaiaRoot, m.Warnings = "/Users/\xff\xfe/base64:", []Warning{{Code: "c", Path: "base64:<&>\u2028", Text: "t"}}
	m.Components["shell_configs"] = &Component{Files: []Name{".zshrc", ".\xff"}}
	m.SystemMetadata = json.RawMessage(`{"a":"<b>"}`)
	raw, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	n, err := DecodeManifest(raw)
	if err != nil || n.MaiaRoot != m.MaiaRoot || n.Warnings[0] != m.Warnings[0] || n.Components["shell_configs"].Files[1] != ".\xff" {
		t.Errorf("%v: %+v", err, n)
	}
	if again, err := n.Encode(); err != nil || !bytes.Equal(again, raw) {
		t.Errorf("%v:\n%s\nwant\n%s", err, again, raw)
	}
}

// wantSameManifest fails if a document is read differently, or not by both, with its extents taken out and by encoding/json alone.
func wantSameManifest(t *testing.T, b []byte) {
	t.Helper()
	want, wantErr := unmarshalWhole(b)
	got, err := unmarshalManifest(b)
	if (err == nil) != (wantErr == nil) || err == nil && !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v\nwant %+v, %v\n%.2000s", got, err, want, wantErr, b)
	}
}

// Extents are read the same, however they are written and whatever else has their name.
func TestManifestExtents(t *testing.T) {
	x := newExample(t)
	wantSameManifest(t, x.raw)
	if short, cut := cutExtents(x.raw); len(cut) < 2 || bytes.Contains(short, cut[0]) {
		t.Fatalf("%d extents were taken out of\n%s", len(cut), x.raw)
	}
	for _, edit := range [][2]string{
		{`"extents": "`, `"extents":"`},
		{`"extents": "`, `"Extents": "`},
		{`"extents": "`, `"ext\u0065nts": "`},
		{`"extents": "`, `"extents": "\u0030`},
		{`"extents": "`, `"extents": null, "unknown": "`},
		{`"extents": "`, `"extents": "", "unknown": "`},
		{`"backup_type"`, `"extents": "0 0 1", "backup_type"`},
		{`"backup_type"`, `"extents": "no numbers", "backup_type"`},
		{`"backup_type"`, `"extents": "cut off`},
		{`"backup_type"`, `"other": {"extents": "2147483647 0 1"}, "backup_type"`},
		{`"system_metadata": {`, `"system_metadata": {"extents": "0 0 1",`},
		{`"system_metadata": {`, `"system_metadata": {"a\\"extents": "0 0 1",`},
		{`"warnings": [`, `"warnings": [{"code": "c", "text": "\"extents\": \"0 0 1\""}`},
	} {
		text := string(x.raw)
		if !strings.Contains(text, edit[0]) {
			t.Fatalf("no %s", edit[0])
		}
		wantSameManifest(t, []byte(strings.Replace(text, edit[0], edit[1], 1)))
		wantSameManifest(t, []byte(strings.ReplaceAll(text, edit[0], edit[1])))
	}
	// What stands for extents elsewhere is not taken for them.
	for _, other := range []string{`"2147483647 0 1"`, `"\u0032147483647 0 1"`, `"2\u003147483647 0 1"`} {
		wantSameManifest(t, []byte(`{"x": {"extents": "0 0 1"}, "components": {"maia_code": {"extents":`+other+`}}}`))
	}
	wantSameManifest(t, []byte(`{"components": {"maia_code": {"extents": "0 0 1", "databases": [{}, {"extents": "1 0 1"}]}, "x": {"extents": "01 0 1"}}}`))
	if short, cut := cutExtents(bytes.Repeat([]byte(`"extents": "0`), maxCut+1)); short != nil || cut != nil {
		t.Errorf("%d extents were taken out", len(cut))
	}
	for _, text := range []string{"", `"extents": "`, `"extents": "0 0 1`, `"extents": "0 0 1"`} {
		if _, err := DecodeManifest([]byte(text)); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// Keys that a later release adds are ignored.
func TestManifestAdditions(t *testing.T) {
	x := newExample(t)
	b := strings.Replace(string(x.raw), `"backup_type"`, `"new_key": {"a": [1, null]}, "backup_type"`, 1)
	if _, err := DecodeManifest([]byte(b)); err != nil {
		t.Error(err)
	}
}

func TestManifestNewerFormat(t *testing.T) {
	faults := matrix.Of(t, "32")
	for _, b := range []string{`{"format": 2}`, `{"chunks": "other", "format": 99, "backup_id": 7}`, `{"format":1000000000000}`} {
		faults.Inject()
		if m, err := DecodeManifest([]byte(b)); !errors.Is(err, ErrNewerFormat) || errors.Is(err, ErrDamaged) || m != nil {
			t.Errorf("%s: %v", b, err)
		}
	}
}

// Each edit of the text makes a manifest that must be refused.
func TestManifestRefusesText(t *testing.T) {
	faults := matrix.Of(t, "17")
	x := newExample(t)
	for what, edit := range map[string][2]string{
		"format 0":             {`"format": 1`, `"format": 0`},
		"format -1":            {`"format": 1`, `"format": -1`},
		"format missing":       {`"format": 1,`, ``},
		"format as text":       {`"format": 1`, `"format": "1"`},
		"format as fraction":   {`"format": 1`, `"format": 1.5`},
		"key twice":            {`"format": 1`, `"format": 1, "format": 1`},
		"key twice, escaped":   {`"format": 1`, `"format": 1, "form\u0061t": 1`},
		"key twice, deep":      {`"page_size": 4096`, `"page_size": 4096, "page_size": 512`},
		"component twice":      {`"maia_code": {`, `"maia_code": null, "maia_code": {`},
		"key twice, unknown":   {`"format": 1`, `"format": 1, "x": [{"y": 1, "y": 2}]`},
		"deep":                 {`"format": 1`, `"format": 1, "x": ` + strings.Repeat("[", 70) + strings.Repeat("]", 70)},
		"very deep":            {`"format": 1`, `"format": 1, "x": ` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)},
		"component is null":    {`"components": {`, `"components": {"secrets": null,`},
		"id":                   {`"full_20251013_030000"`, `"full_20251013_030060"`},
		"id with a path":       {`"full_20251013_030000"`, `"../full_20251013_030000"`},
		"status":               {`"completed"`, `"failed"`},
		"status missing":       {`"status": "completed",`, ``},
		"time":                 {`"2025-10-13T03:00:00Z"`, `"yesterday"`},
		"hash too short":       {`"sha256": "edef`, `"sha256": "def`},
		"hash in capitals":     {`"sha256": "edef`, `"sha256": "EDEF`},
		"hash of other things": {`"sha256": "edef`, `"sha256": "xdef`},
		"name is no base64":    {`"path": "claude/socket"`, `"path": "base64:!"`},
		"extent: sign":         {`"0 0 3072"`, `"0 +0 3072"`},
		"extent: zero":         {`"0 0 3072"`, `"0 0 03072"`},
		"extent: spaces":       {`"0 0 3072"`, `"0  0 3072"`},
		"extent: two numbers":  {`"0 0 3072"`, `"0 3072"`},
		"extent: four":         {`"0 0 3072"`, `"0 0 3072 0"`},
		"extent: final comma":  {`"0 0 3072"`, `"0 0 3072,"`},
		"extent: negative":     {`"0 0 3072"`, `"0 -1 3072"`},
		"extent: empty":        {`"0 0 3072"`, `"0 0 3072,0 0 0"`},
		"extent: huge":         {`"0 0 3072"`, `"0 9223372036854775807 9223372036854775807"`},
		"extent: no chunk":     {`"0 0 3072"`, `"1 0 3072"`},
		"extent: chunk 2^40":   {`"0 0 3072"`, `"1099511627776 0 3072"`},
		"extent: outside":      {`"0 3072 8192,`, `"0 3073 8192,`},
		"does not add up":      {`"0 0 3072"`, `"0 0 3071"`},
		"database adds up not": {`,0 3072 4096"`, `,0 3072 4095"`},
		"two documents":        {"\n}\n", "\n}\n{}"},
		"cut off":              {"\n}\n", "\n"},
		"empty":                {string(x.raw), ""},
		"null":                 {string(x.raw), "null"},
		"an array":             {string(x.raw), "[]"},
		"NUL":                  {string(x.raw), "\x00"},
	} {
		faults.Inject()
		b := strings.Replace(string(x.raw), edit[0], edit[1], 1)
		if b == string(x.raw) {
			t.Errorf("%s: the edit changes nothing", what)
		}
		if m, err := DecodeManifest([]byte(b)); !errors.Is(err, ErrDamaged) || m != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Each change makes a manifest that is well-formed and must be refused.
func TestManifestRefuses(t *testing.T) {
	code := func(m *Manifest) *Component { return m.Components["maia_code"] }
	db := func(m *Manifest) *Database { return &m.Components["maia_data_large"].Databases[0] }
	for what, change := range map[string]func(m *Manifest){
		"chunk listed twice":         func(m *Manifest) { m.Chunks = append(m.Chunks, m.Chunks[0]) },
		"chunk of no content":        func(m *Manifest) { m.Chunks = append(m.Chunks, ChunkRef{Hash{1}, 10, 0}) },
		"chunk of negative content":  func(m *Manifest) { m.Chunks = append(m.Chunks, ChunkRef{Hash{1}, 10, -1}) },
		"chunk of too much content":  func(m *Manifest) { m.Chunks = append(m.Chunks, ChunkRef{Hash{1}, 10, MaxChunkBytes + 1}) },
		"chunk file of nothing":      func(m *Manifest) { m.Chunks = append(m.Chunks, ChunkRef{Hash{1}, 0, 10}) },
		"chunk file too large":       func(m *Manifest) { m.Chunks = append(m.Chunks, ChunkRef{Hash{1}, 50_400_001, 10}) },
		"file twice":                 func(m *Manifest) { m.Files = append(m.Files, m.Files[0]) },
		"file of negative size":      func(m *Manifest) { m.Files[0].SizeBytes = -1 },
		"manifest among the files":   func(m *Manifest) { m.Files = append(m.Files, FileRef{Path: ManifestName}) },
		"index among the files":      func(m *Manifest) { m.Files = append(m.Files, FileRef{Path: RestoreIndexName}) },
		"MAC among the files":        func(m *Manifest) { m.Files = append(m.Files, FileRef{Path: MACName}) },
		"component's file not there": func(m *Manifest) { code(m).Path = "other.tar.gz" },
		"component's name":           func(m *Manifest) { m.Components["../x"] = &Component{} },
		"component's name, line":     func(m *Manifest) { m.Components["x\nend 1"] = &Component{} },
		"component's name, empty":    func(m *Manifest) { m.Components[""] = &Component{} },
		"component of negative size": func(m *Manifest) { m.Components["secrets"] = &Component{SizeBytes: -1} },
		"kind of stream":             func(m *Manifest) { code(m).Stream = "zip" },
		"database of negative size":  func(m *Manifest) { db(m).OriginalSize, db(m).Extents = -1, nil },
		"database's mode":            func(m *Manifest) { db(m).Mode = 0o100644 },
	} {
		m := newExample(t).manifest
		change(m)
		raw, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeManifest(raw); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, name := range append(badPaths, ".hidden", "a/b", "a b", "-rf", "ä", strings.Repeat("x", 101)) {
		m := newExample(t).manifest
		m.Files = append(m.Files, FileRef{Path: name})
		raw, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeManifest(raw); !errors.Is(err, ErrDamaged) {
			t.Errorf("file called %q: %v", name, err)
		}
	}
	for _, path := range badPaths {
		m := newExample(t).manifest
		m.Components["maia_data_large"].Databases[0].Path = Name(path)
		raw, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeManifest(raw); !errors.Is(err, ErrDamaged) {
			t.Errorf("database at %q: %v", path, err)
		}
	}
}

var badPaths = []string{
	"", ".", "..", "/", "/etc/passwd", "//x", "../x", "../../x", "a/..", "a/../b", "a/../../b", "./a", "a/./b", "a/.", "a//b", "a/", "a\x00b", "\x00",
}

func TestValidatePath(t *testing.T) {
	for _, p := range badPaths {
		if err := ValidatePath(p); !errors.Is(err, ErrDamaged) {
			t.Errorf("%q: %v", p, err)
		}
	}
	for _, p := range []string{"a", "a/b", "..a", "a..", "...", "a/..b/c", "-rf", "$(x)", "a\nb", "a\\b", "\xff", " ", "~", "C:x", ".hidden/x"} {
		if err := ValidatePath(p); err != nil {
			t.Errorf("%q: %v", p, err)
		}
	}
}

func TestChunkUse(t *testing.T) {
	x := newExample(t)
	if use := x.manifest.ChunkUse(); len(use) != 1 || use[0] != x.manifest.Chunks[0].RawBytes {
		t.Errorf("the example uses %v bytes of its chunk", use)
	}
	m := &Manifest{Chunks: make([]ChunkRef, 3), Components: map[string]*Component{
		"a": {Stream: "tar", Extents: Extents{{0, 0, 10}, {0, 5, 10}, {2, 100, 1}}},
		"b": {Databases: []Database{{Path: "b", Extents: Extents{{0, 2, 3}, {0, 20, 5}, {2, 100, 1}}}, {Path: "a"}}},
	}}
	if use := m.ChunkUse(); use[0] != 20 || use[1] != 0 || use[2] != 1 {
		t.Errorf("use %v, want [20 0 1]", use)
	}
}

func TestStreamsHaveAnOrder(t *testing.T) {
	m := &Manifest{Components: map[string]*Component{
		"z": {Stream: "tar"}, "b": {Stream: "tar", Databases: []Database{{Path: "in the tar"}}},
		"a": {Databases: []Database{{Path: "y", Extents: Extents{{0, 0, 1}}}, {Path: "x", Extents: Extents{{0, 0, 1}}}}},
		"c": {Path: "no stream"},
	}}
	for range 20 {
		var got []string
		for _, s := range m.Streams() {
			name := s.Component
			if s.Database != nil {
				name += ":" + string(s.Database.Path)
			}
			got = append(got, name)
		}
		if strings.Join(got, " ") != "b z a:x a:y" {
			t.Fatal(got)
		}
	}
}
