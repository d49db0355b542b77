package repository

import (
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Name is a file name or path in its exact bytes. JSON holds only Unicode, so one that is not valid UTF-8, or that
// begins with "base64:" itself, is written as "base64:" and its bytes in standard base64.
type Name string

const base64Prefix = "base64:"

// MarshalText implements encoding.TextMarshaler.
func (n Name) MarshalText() ([]byte, error) {
	if utf8.ValidString(string(n)) && !strings.HasPrefix(string(n), base64Prefix) {
		return []byte(n), nil
	}
	return []byte(base64Prefix + base64.StdEncoding.EncodeToString([]byte(n))), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (n *Name) UnmarshalText(b []byte) error {
	rest, ok := strings.CutPrefix(string(b), base64Prefix)
	if !ok {
		*n = Name(b)
		return nil
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(rest)
	if err != nil {
		return fmt.Errorf("read name: %w", err)
	}
	*n = Name(raw)
	return nil
}

// EncodeLine writes a string for the restore index: printable ASCII but backslash stands for itself, every other
// byte is \0ooo, which the shell's printf '%b' decodes. An absent string is "-", a literal "-" is escaped.
func EncodeLine(s string) string {
	switch s {
	case "":
		return "-"
	case "-":
		return `\0055`
	}
	plain := true
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] >= 0x7f || s[i] == '\\' {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '\\' {
			fmt.Fprintf(&b, `\0%03o`, c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// DecodeLine reverses EncodeLine and accepts nothing that EncodeLine does not write.
func DecodeLine(s string) (string, error) {
	if s == "-" {
		return "", nil
	}
	if s == "" {
		return "", fmt.Errorf("empty field: %w", ErrDamaged)
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		if i+4 >= len(s) || s[i+1] != '0' {
			return "", fmt.Errorf("escape in %.60q: %w", s, ErrDamaged)
		}
		v := 0
		for _, d := range []byte(s[i+2 : i+5]) {
			if d < '0' || d > '7' {
				return "", fmt.Errorf("escape in %.60q: %w", s, ErrDamaged)
			}
			v = v*8 + int(d-'0')
		}
		if v > 255 {
			return "", fmt.Errorf("escape in %.60q: %w", s, ErrDamaged)
		}
		b.WriteByte(byte(v))
		i += 4
	}
	if out := b.String(); EncodeLine(out) == s {
		return out, nil
	}
	return "", fmt.Errorf("field %.60q is not in its one spelling: %w", s, ErrDamaged)
}
