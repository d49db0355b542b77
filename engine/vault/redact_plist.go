package vault

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"

	"howett.net/plist"
)

// plist replaces the values in a property list and encodes it anew.
func (r *redaction) plist(b []byte) (out []byte, err error) {
	l, err := readPlist(b)
	if err != nil {
		return nil, err
	}
	visit(l.top, "", func(v any, name, option string) any { return r.leaf(v, name, option) })
	if r.inKeys(l.top) {
		return nil, ErrRemains
	}
	defer func() {
		if p := recover(); p != nil {
			out, err = nil, fmt.Errorf("%w: the encoder gave up", ErrUnreadable)
		}
	}()
	if l.format == plist.XMLFormat {
		out, err = plist.MarshalIndent(l.top, l.format, "\t")
		out = append(out, '\n')
	} else {
		out, err = plist.Marshal(l.top, l.format)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: it cannot be encoded", ErrUnreadable)
	}
	again, err := readPlist(out)
	if err != nil {
		return nil, err
	}
	if !reflect.DeepEqual(again.top, l.top) || again.format != l.format {
		return nil, fmt.Errorf("%w: it is not the same when encoded anew", ErrUnreadable)
	}
	if err := r.inStrings(again.top); err != nil {
		return nil, err
	}
	return out, nil
}

// leaf returns what is to stand in a value's place.
func (r *redaction) leaf(v any, name, option string) any {
	hits := leafHits(v, name, option)
	switch v := v.(type) {
	case string:
		return r.spans(v, hits)
	case []byte:
		for _, h := range hits {
			if to := r.names[h.value]; to != "" && !h.identifier {
				return to
			}
		}
		if to := r.any.Replace(string(v)); to != string(v) {
			return []byte(to)
		}
		return v
	default:
		for _, h := range hits {
			if to := r.names[h.value]; to != "" && !h.identifier {
				return to
			}
		}
		return v
	}
}

// inKeys reports whether a key holds a value.
func (r *redaction) inKeys(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for k, child := range v {
			if r.any.Replace(k) != k || r.inKeys(child) {
				return true
			}
		}
	case []any:
		if slices.ContainsFunc(v, r.inKeys) {
			return true
		}
	}
	return false
}

// inStrings looks for values in what a program would read: in the file they may be escaped.
func (r *redaction) inStrings(top map[string]any) (err error) {
	visit(top, "", func(v any, _, _ string) any {
		text, ok := v.(string)
		if b, isData := v.([]byte); isData {
			text, ok = string(bytes.Clone(b)), true
		}
		if ok && r.any.Replace(text) != text {
			err = ErrRemains
		}
		return v
	})
	return err
}
