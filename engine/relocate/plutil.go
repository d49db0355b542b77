package relocate

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"howett.net/plist"
)

func sortedKeys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }

// appendXML writes a property list as `plutil -convert xml1` does.
func appendXML(top any) []byte {
	b := []byte(`<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
`)
	b = appendValue(b, top, 0)
	return append(b, "</plist>\n"...)
}

func appendValue(b []byte, v any, depth int) []byte {
	tabs := strings.Repeat("\t", depth)
	b = append(b, tabs...)
	element := func(name, text string) []byte {
		return append(b, "<"+name+">"+text+"</"+name+">\n"...)
	}
	switch v := v.(type) {
	case string:
		return element("string", xmlEscape.Replace(v))
	case bool:
		return append(b, "<"+strconv.FormatBool(v)+"/>\n"...)
	case int64:
		return element("integer", strconv.FormatInt(v, 10))
	case uint64:
		return element("integer", strconv.FormatUint(v, 10))
	case float32:
		return element("real", formatReal(float64(v)))
	case float64:
		return element("real", formatReal(v))
	case time.Time:
		return element("date", v.UTC().Format("2006-01-02T15:04:05Z"))
	case []byte:
		b = appendBase64(append(b, "<data>\n"...), v, depth)
		return append(b, tabs+"</data>\n"...)
	case plist.UID:
		return appendDict(b, map[string]any{"CF$UID": uint64(v)}, tabs, depth)
	case []any:
		if len(v) == 0 {
			return append(b, "<array/>\n"...)
		}
		b = append(b, "<array>\n"...)
		for _, x := range v {
			b = appendValue(b, x, depth+1)
		}
		return append(b, tabs+"</array>\n"...)
	case map[string]any:
		return appendDict(b, v, tabs, depth)
	}
	// A value of a kind that no property list has: what follows reads the result, and refuses it.
	return append(b, "<unknown/>\n"...)
}

func appendDict(b []byte, v map[string]any, tabs string, depth int) []byte {
	if len(v) == 0 {
		return append(b, "<dict/>\n"...)
	}
	b = append(b, "<dict>\n"...)
	for _, k := range sortedKeys(v) {
		b = append(b, tabs+"\t<key>"+xmlEscape.Replace(k)+"</key>\n"...)
		b = appendValue(b, v[k], depth+1)
	}
	return append(b, tabs+"</dict>\n"...)
}

// formatReal is C's %.17g, and Apple's words for what is no number.
func formatReal(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "+infinity"
	case math.IsInf(f, -1):
		return "-infinity"
	}
	return strconv.FormatFloat(f, 'g', 17, 64)
}

const base64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// appendBase64 breaks lines where Apple's CoreFoundation does: it looks after each byte of data, not after each group of
// four digits, whether 76 columns are full, and counts a tab as eight.
func appendBase64(b, data []byte, depth int) []byte {
	depth = min(depth, 8)
	tabs := strings.Repeat("\t", depth)
	var line []byte
	flush := func() {
		b = append(append(append(b, tabs...), line...), '\n')
		line = line[:0]
	}
	for i, c := range data {
		switch i % 3 {
		case 0:
			line = append(line, base64Digits[c>>2])
		case 1:
			line = append(line, base64Digits[data[i-1]<<4&0x3f|c>>4])
		case 2:
			line = append(line, base64Digits[data[i-1]<<2&0x3f|c>>6], base64Digits[c&0x3f])
		}
		if len(line) >= 76-8*depth {
			flush()
		}
	}
	switch n := len(data); n % 3 {
	case 1:
		line = append(line, base64Digits[data[n-1]<<4&0x3f], '=', '=')
	case 2:
		line = append(line, base64Digits[data[n-1]<<2&0x3f], '=')
	}
	if len(line) > 0 {
		flush()
	}
	return b
}
