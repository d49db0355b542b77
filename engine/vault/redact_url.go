package vault

import "regexp"

// userInfo finds what stands before the host of an address; a password may have an "@" in it.
var userInfo = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://)([^/\s"'<>]*)@`)

// plainUser matches user information that is no secret: the user of ssh, or names of variables in the place of values,
// as pip writes them.
var plainUser = regexp.MustCompile(`^(git|\$\{[A-Za-z_][A-Za-z0-9_]*\}(:\$\{[A-Za-z_][A-Za-z0-9_]*\})?)$`)

// RedactURLs takes user names, passwords and tokens out of the addresses in a text.
func RedactURLs(b []byte) []byte {
	return userInfo.ReplaceAllFunc(b, func(found []byte) []byte {
		m := userInfo.FindSubmatch(found)
		if plainUser.Match(m[2]) {
			return found
		}
		return m[1]
	})
}
