package repository

import (
	"sync"
	"weak"
)

// Manifests shares decoded manifests: a run looks at each backup's several times, and after some weeks all of them together
// take half a second to decode. One is kept only as long as somebody holds it, and must not be changed. Safe for concurrent
// use; nil shares nothing.
type Manifests struct {
	byHash sync.Map // Hash of the bytes to weak.Pointer[Manifest]
}

// decode is DecodeManifest.
func (s *Manifests) decode(b []byte) (*Manifest, error) {
	if s == nil {
		return DecodeManifest(b)
	}
	sum := SumHash(b)
	if known, ok := s.byHash.Load(sum); ok {
		if p, ok := known.(weak.Pointer[Manifest]); ok {
			if m := p.Value(); m != nil {
				return m, nil
			}
		}
	}
	m, err := DecodeManifest(b)
	if err == nil {
		s.byHash.Store(sum, weak.Make(m))
	}
	return m, err
}
