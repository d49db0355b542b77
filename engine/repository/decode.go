package repository

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path"
	"slices"
	"strings"
)

// DecodeManifest reads and validates a manifest. It returns ErrNewerFormat for a format it does not know and
// ErrDamaged for anything else that is wrong: nothing in a manifest it returns points outside the repository or
// the target.
func DecodeManifest(b []byte) (*Manifest, error) {
	m, err := unmarshalManifest(b)
	if err == nil && m.Format <= Format {
		if err := m.validate(); err != nil {
			return nil, fmt.Errorf("manifest of %.40q: %v: %w", m.BackupID, err, ErrDamaged)
		}
		return m, nil
	}
	// One of a later format may be anything but for its number.
	var head struct {
		Format int `json:"format"`
	}
	if herr := json.Unmarshal(b, &head); herr == nil && head.Format > Format {
		return nil, fmt.Errorf("manifest has format %d, this program knows %d: %w", head.Format, Format, ErrNewerFormat)
	}
	return nil, fmt.Errorf("read manifest: %v: %w", err, ErrDamaged)
}

// unmarshalManifest decodes a manifest. Its extents are nearly all of it, and encoding/json goes over a string four times: so
// they are taken out, read by themselves and put in where the decoder met what stood in their place. A document in which that
// does not come out even is decoded as it is. So both ways come to the same, for any input.
func unmarshalManifest(b []byte) (*Manifest, error) {
	if short, cut := cutExtents(b); len(cut) > 0 {
		if m, err := unmarshalWhole(short); err == nil && m.putExtents(cut) {
			return m, nil
		}
	}
	return unmarshalWhole(b)
}

func unmarshalWhole(b []byte) (*Manifest, error) {
	m := new(Manifest)
	err := checkJSON(b, maxValues, maxObjects)
	if err == nil {
		err = json.Unmarshal(b, m)
	}
	return m, err
}

// extentsKey is how Encode writes the key and begins the value.
var extentsKey = []byte(`"extents": "`)

// What stands for extents that were cut out: a chunk whose number no manifest has, counted down from the largest that is read.
// All begin with standInDigits, which a document must not have elsewhere, also not escaped.
const maxCut = 1000

var standInDigits = [][]byte{[]byte("214748"), []byte(`\u003`)}

func standIn(i int) Extent { return Extent{Chunk: math.MaxInt32 - i, Length: 1} }

// cutExtents returns the document with stand-ins for the extents that are written as Encode does, and what stood there; nothing,
// if it had better be decoded as it is. Both documents are JSON or neither is, provided that what was cut out is extents:
// digits, spaces and commas, between two quotes.
func cutExtents(b []byte) (short []byte, cut [][]byte) {
	take := func(part []byte) bool {
		short = append(short, part...)
		return !slices.ContainsFunc(standInDigits, func(d []byte) bool { return bytes.Contains(part, d) })
	}
	for {
		at := bytes.Index(b, extentsKey)
		if at < 0 {
			break
		}
		at += len(extentsKey)
		n := bytes.IndexByte(b[at:], '"')
		if len(cut) == maxCut || n < 0 || !take(b[:at]) {
			return nil, nil
		}
		if n > 0 {
			e := standIn(len(cut))
			short = fmt.Appendf(short, "%d %d %d", e.Chunk, e.Offset, e.Length)
			cut = append(cut, b[at:at+n])
		}
		b = b[at+n:]
	}
	if !take(b) {
		return nil, nil
	}
	return short, cut
}

// putExtents puts the extents that were cut out where their stand-ins are. It reports whether each had one place, and nothing else
// has extents.
func (m *Manifest) putExtents(cut [][]byte) bool {
	places := make([]*Extents, len(cut))
	left := len(cut)
	find := func(x *Extents) bool {
		if len(*x) == 0 {
			return true
		}
		i := math.MaxInt32 - (*x)[0].Chunk
		if i >= len(cut) || places[i] != nil {
			return false
		}
		places[i] = x
		left--
		return true
	}
	for _, c := range m.Components {
		if c == nil {
			continue
		}
		if !find(&c.Extents) {
			return false
		}
		for i := range c.Databases {
			if !find(&c.Databases[i].Extents) {
				return false
			}
		}
	}
	if left > 0 {
		return false
	}
	for i, x := range places {
		if x.UnmarshalText(cut[i]) != nil {
			return false
		}
	}
	return true
}

func (m *Manifest) validate() error {
	if m.Format != Format {
		return fmt.Errorf("format %d", m.Format)
	}
	if !IsID(m.BackupID) {
		return errors.New("no backup id")
	}
	if m.Status != StatusCompleted && m.Status != StatusCompletedWithWarnings {
		return fmt.Errorf("status %.40q", m.Status)
	}
	seen := map[string]bool{ManifestName: true, RestoreIndexName: true, MACName: true}
	for _, f := range m.Files {
		if !validFileName(f.Path) || seen[f.Path] || f.SizeBytes < 0 {
			return fmt.Errorf("file %.60q", f.Path)
		}
		seen[f.Path] = true
	}
	chunks := make(map[Hash]bool, len(m.Chunks))
	for _, c := range m.Chunks {
		if c.RawBytes <= 0 || c.RawBytes > MaxChunkBytes || c.SizeBytes <= 0 || c.SizeBytes > maxChunkFile || chunks[c.SHA256] {
			return fmt.Errorf("chunk %s", c.SHA256)
		}
		chunks[c.SHA256] = true
	}
	for _, own := range []string{ManifestName, RestoreIndexName, MACName} {
		delete(seen, own)
	}
	for name, c := range m.Components {
		if c == nil || !validComponent(name) {
			return fmt.Errorf("component %.40q is empty or misnamed", name)
		}
		if c.Path != "" && !seen[c.Path] {
			return fmt.Errorf("component %.40q: its file %.60q is not listed", name, c.Path)
		}
		if err := m.validateComponent(c); err != nil {
			return fmt.Errorf("component %.40q: %w", name, err)
		}
	}
	return nil
}

func (m *Manifest) validateComponent(c *Component) error {
	if c.Stream != "" && c.Stream != "tar" {
		return fmt.Errorf("stream %.40q", c.Stream)
	}
	if err := m.validateExtents(c.Extents); err != nil {
		return err
	}
	if c.SizeBytes < 0 || c.Stream == "tar" && c.Extents.Size() != c.SizeBytes {
		return errors.New("its extents do not add up to its size")
	}
	for _, db := range c.Databases {
		if err := ValidatePath(string(db.Path)); err != nil {
			return err
		}
		if err := m.validateExtents(db.Extents); err != nil {
			return err
		}
		if db.Mode&^0o7777 != 0 || db.OriginalSize < 0 {
			return fmt.Errorf("mode %o or size %d of %.60q", db.Mode, db.OriginalSize, db.Path)
		}
		if len(db.Chunks) > 0 && !slices.Equal(db.Chunks, db.Extents.Chunks()) {
			return fmt.Errorf("the chunks of %.60q are not those of its extents", db.Path)
		}
		if len(db.Extents) > 0 && db.Extents.Size() != db.OriginalSize {
			return fmt.Errorf("the extents of %.60q do not add up to its size", db.Path)
		}
	}
	return nil
}

func (m *Manifest) validateExtents(x Extents) error {
	for _, e := range x {
		if e.Chunk < 0 || e.Chunk >= len(m.Chunks) || e.Offset+e.Length > m.Chunks[e.Chunk].RawBytes {
			return fmt.Errorf("extent %d %d %d lies outside its chunk", e.Chunk, e.Offset, e.Length)
		}
	}
	return nil
}

// ValidatePath accepts a path that stays below the folder it is joined to, in its one spelling: relative, slashes,
// no empty, "." or ".." element, no NUL.
func ValidatePath(p string) error {
	if p == "" || p == "." || strings.HasPrefix(p, "/") || strings.HasPrefix(p, "../") || p == ".." ||
		path.Clean(p) != p || strings.ContainsRune(p, 0) {
		return fmt.Errorf("path %.80q could lead outside the target: %w", p, ErrDamaged)
	}
	return nil
}
