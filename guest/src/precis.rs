//! How strings of people are made ready to be compared: PRECIS (RFC 8264) with the profiles of RFC 8265, as RFC 7644 §5 and
//! §7.8 have it for user names, passwords and filters. `é` typed as one character or as a letter and an accent is the same
//! name, and so is `Ａ` as wide as an ideograph.
//!
//! The profiles decide here what is equal, not what may be stored: directories hold user names with spaces and symbols, and
//! what was sent is what is kept.

use std::borrow::Cow;

use unicode_normalization::char::{canonical_combining_class, compose, decompose_canonical};

/// The form in which user names and other strings compare where case doesn't matter: widths, then case, then composition, in
/// this order (UsernameCaseMapped, RFC 8265 §3.3.2). Whoever has it already gets it back as it is.
pub fn case_mapped(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return match text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            true => Cow::Owned(text.to_ascii_lowercase()),
            false => Cow::Borrowed(text),
        };
    }
    // Letter by letter, unlike str::to_lowercase, which ends a word with ς where it writes σ elsewhere: what starts with a
    // text must still do so when both are mapped.
    let mapped: String =
        text.chars().map(usual_width).flat_map(char::to_lowercase).map(|c| if c == 'ς' { 'σ' } else { c }).collect();
    composed(Cow::Owned(mapped))
}

/// The form in which passwords compare: every kind of space is one space, then composition (OpaqueString, RFC 8265 §4.2.2).
pub fn opaque(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    // The space separators of Unicode (general category Zs) beside the space itself.
    let space =
        |c: char| matches!(c, '\u{A0}' | '\u{1680}' | '\u{2000}'..='\u{200A}' | '\u{202F}' | '\u{205F}' | '\u{3000}');
    composed(match text.contains(space) {
        true => Cow::Owned(text.replace(space, " ")),
        false => Cow::Borrowed(text),
    })
}

/// In Normalization Form C (UAX #15): decomposed, the marks of each letter in canonical order, composed again.
///
/// `UnicodeNormalization::nfc` does the same, and brings the tables of compatibility decompositions and of the quick check with
/// it: 64 KB of a component that needs neither.
fn composed(text: Cow<'_, str>) -> Cow<'_, str> {
    // Nothing below U+0300 combines with anything, or decomposes and stays so.
    if text.chars().all(|c| c < '\u{300}') {
        return text;
    }
    let mut letters: Vec<char> = Vec::with_capacity(text.len());
    text.chars().for_each(|c| decompose_canonical(c, |part| letters.push(part)));
    for marks in letters.chunk_by_mut(|_, next| canonical_combining_class(*next) != 0) {
        // Stable: marks of one class stay in the order in which they are stacked. A starter has class 0 and stays first.
        marks.sort_by_key(|mark| canonical_combining_class(*mark));
    }
    let mut result: Vec<char> = Vec::with_capacity(letters.len());
    // Where the last starter is, and the class of what stands after it.
    let mut starter: Option<usize> = None;
    let mut before = 0;
    for c in letters {
        let class = canonical_combining_class(c);
        let open = |at: &usize| *at + 1 == result.len() || before != 0 && before < class;
        match starter.filter(open).and_then(|at| Some((at, compose(result[at], c)?))) {
            Some((at, whole)) => result[at] = whole,
            None => {
                if class == 0 {
                    starter = Some(result.len());
                }
                before = class;
                result.push(c);
            }
        }
    }
    Cow::Owned(result.into_iter().collect())
}

/// Full-width and half-width characters as the usual ones: their `<wide>` and `<narrow>` decompositions (UAX #11).
fn usual_width(c: char) -> char {
    const KATAKANA: [char; 63] = [
        '。', '「', '」', '、', '・', 'ヲ', 'ァ', 'ィ', 'ゥ', 'ェ', 'ォ', 'ャ', 'ュ', 'ョ', 'ッ', 'ー', 'ア', 'イ',
        'ウ', 'エ', 'オ', 'カ', 'キ', 'ク', 'ケ', 'コ', 'サ', 'シ', 'ス', 'セ', 'ソ', 'タ', 'チ', 'ツ', 'テ', 'ト',
        'ナ', 'ニ', 'ヌ', 'ネ', 'ノ', 'ハ', 'ヒ', 'フ', 'ヘ', 'ホ', 'マ', 'ミ', 'ム', 'メ', 'モ', 'ヤ', 'ユ', 'ヨ',
        'ラ', 'リ', 'ル', 'レ', 'ロ', 'ワ', 'ン', '\u{3099}', '\u{309A}',
    ];
    const SIGNS: [char; 7] = ['¢', '£', '¬', '¯', '¦', '¥', '₩'];
    const SHAPES: [char; 7] = ['│', '←', '↑', '→', '↓', '■', '○'];
    let moved = |first: u32, to: u32| char::from_u32(u32::from(c) - first + to).unwrap_or(c);
    let from = |table: &[char], first: u32| table.get((u32::from(c) - first) as usize).copied().unwrap_or(c);
    match u32::from(c) {
        0x3000 => ' ',
        0xFF01..=0xFF5E => moved(0xFF01, 0x21),
        0xFF5F..=0xFF60 => moved(0xFF5F, 0x2985),
        0xFF61..=0xFF9F => from(&KATAKANA, 0xFF61),
        0xFFA0 => '\u{3164}',
        0xFFA1..=0xFFBE => moved(0xFFA1, 0x3131),
        0xFFC2..=0xFFC7 => moved(0xFFC2, 0x314F),
        0xFFCA..=0xFFCF => moved(0xFFCA, 0x3155),
        0xFFD2..=0xFFD7 => moved(0xFFD2, 0x315B),
        0xFFDA..=0xFFDC => moved(0xFFDA, 0x3161),
        0xFFE0..=0xFFE6 => from(&SIGNS, 0xFFE0),
        0xFFE8..=0xFFEE => from(&SHAPES, 0xFFE8),
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use unicode_normalization::UnicodeNormalization;

    use super::*;

    #[track_caller]
    fn same(one: &str, other: &str) {
        assert_eq!(case_mapped(one), case_mapped(other));
    }

    #[test]
    fn user_names_compare_without_case_width_and_composition() {
        assert!(matches!(case_mapped("bjensen@example.com"), Cow::Borrowed("bjensen@example.com")));
        same("BJensen", "bjensen");
        same("ÉCLAIR", "éclair");
        same("Rene\u{301}", "RENÉ");
        same("ΟΔΟΣ", "οδος");
        same("ｂｊｅｎｓｅｎ＠example.com", "bjensen@example.com");
        same("ｶﾞ", "ガ");
        same("\u{212B}ngström", "ångstro\u{308}m");
        assert_ne!(case_mapped("rene"), case_mapped("rené"));
        assert_ne!(case_mapped("straße"), case_mapped("strasse"));
    }

    #[test]
    fn what_starts_with_a_text_does_so_when_both_are_mapped() {
        assert!(case_mapped("ΟΔΟΣΑ").starts_with(&*case_mapped("ΟΔΟΣ")));
    }

    #[test]
    fn passwords_keep_case_and_width() {
        assert!(matches!(opaque("pass word"), Cow::Borrowed("pass word")));
        assert_eq!(opaque("pa\u{A0}ss\u{3000}wo\u{308}rt"), "pa ss wört");
        assert_ne!(opaque("Ä"), opaque("ä"));
        assert_ne!(opaque("ａ"), opaque("a"));
    }

    /// Keys and filter operands are mapped once or twice; it must make no difference.
    #[test]
    fn mapping_again_changes_nothing() {
        for c in char::MIN..=char::MAX {
            let text = c.to_string();
            let once = case_mapped(&text);
            assert_eq!(case_mapped(&once), once, "U+{:04X}", u32::from(c));
            let once = opaque(&text);
            assert_eq!(opaque(&once), once, "U+{:04X}", u32::from(c));
        }
    }

    /// The table against the Unicode data: a character of another width means what its compatibility decomposition means.
    #[test]
    fn widths_are_those_of_unicode() {
        let decomposed = |c: char| std::iter::once(c).nfkd().collect::<String>();
        for c in ('\u{FF00}'..='\u{FFEF}').chain(['\u{3000}']) {
            assert_eq!(decomposed(usual_width(c)), decomposed(c), "U+{:04X}", u32::from(c));
            assert_eq!(usual_width(c) == c, decomposed(c) == c.to_string(), "U+{:04X}", u32::from(c));
        }
    }

    #[test]
    fn characters_are_composed_as_in_unicode() {
        for c in char::MIN..=char::MAX {
            let text = c.to_string();
            assert_eq!(composed(Cow::Borrowed(&text)), text.nfc().collect::<String>(), "U+{:04X}", u32::from(c));
        }
    }

    proptest! {
        /// Letters, marks of many classes, Hangul in parts, and anything else.
        #[test]
        fn texts_are_composed_as_in_unicode(text in "[a-eA-E\u{E9}\u{C5}\u{300}-\u{34F}\u{591}-\u{5C7}\u{93C}\u{93F}\u{9BE}\u{9C7}\u{9D7}\u{1100}-\u{1112}\u{1161}-\u{1175}\u{11A8}-\u{11AA}\u{1EA1}\u{2126}\u{212B}\u{AC00}-\u{AC30}]{0,8}.{0,3}") {
            prop_assert_eq!(composed(Cow::Borrowed(&text)), text.nfc().collect::<String>());
        }
    }
}
