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
// does not come out even is decoded as it is.
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

// extentsKey is how Encode writes the key and begins the value. The quote it begins with cannot stand within a string.
var extentsKey = []byte(`"extents": "`)

// cutExtents returns the document with other extents in the place of those that are written as Encode does, and what
// stood there. Both documents are JSON or neither is, provided that what was cut out is extents: digits, spaces, commas.
func cutExtents(b []byte) (short []byte, cut [][]byte) {
	rest := b
	for {
		at := bytes.Index(rest, extentsKey)
		if at < 0 {
			return append(short, rest...), cut
		}
		at += len(extentsKey)
		short, rest = append(short, rest[:at]...), rest[at:]
		if n := bytes.IndexByte(rest, '"'); n > 0 {
			short = fmt.Appendf(short, "%d 0 1", stands(len(cut)))
			cut, rest = append(cut, rest[:n]), rest[n:]
		}
	}
}

// stands returns the number of a chunk that stands for the extents cut out as the i-th: no manifest has so many chunks.
func stands(i int) int { return math.MaxInt32 - i }

// putExtents puts the extents that were cut out where they belong, and reports whether each had one place.
func (m *Manifest) putExtents(cut [][]byte) bool {
	put := make([]bool, len(cut))
	left := len(cut)
	place := func(x *Extents) bool {
		if len(*x) == 0 {
			return true
		}
		i := stands((*x)[0].Chunk)
		if i < 0 || i >= len(cut) || put[i] || len(*x) > 1 {
			return false
		}
		put[i] = true
		left--
		return x.UnmarshalText(cut[i]) == nil
	}
	for _, c := range m.Components {
		if c == nil {
			continue
		}
		if !place(&c.Extents) {
			return false
		}
		for i := range c.Databases {
			if !place(&c.Databases[i].Extents) {
				return false
			}
		}
	}
	return left == 0
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
