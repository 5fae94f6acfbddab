//! Reading JSON that others wrote.

use serde::de::DeserializeOwned;

/// The value that this JSON is, or where it is wrong: the path of the field, then what was expected and what came.
pub(crate) fn read<T: DeserializeOwned>(json: &[u8]) -> Result<T, String> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        // At the top, and where the text is no JSON at all, there is no path.
        let path = error.path().to_string();
        if path == "." || path == "?" { error.inner().to_string() } else { error.to_string() }
    })?;
    reader.end().map_err(|error| error.to_string())?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Settings {
        #[allow(dead_code)]
        tenants: Vec<Tenant>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Tenant {
        #[allow(dead_code)]
        weight: f64,
    }

    fn refusal(json: &str) -> String {
        read::<Settings>(json.as_bytes()).unwrap_err()
    }

    #[test]
    fn what_is_wrong_is_named_by_its_path() {
        let wrong = refusal(r#"{"tenants": [{"weight": 1}, {"weight": "much"}]}"#);
        assert_eq!(wrong, r#"tenants[1].weight: invalid type: string "much", expected f64 at line 1 column 45"#);
        let unknown = refusal(r#"{"tenants": [{"wait": 1}]}"#);
        assert_eq!(unknown, "tenants[0].wait: unknown field `wait`, expected `weight` at line 1 column 20");
    }

    #[test]
    fn what_is_no_json_has_no_path() {
        assert_eq!(refusal("tenants"), "expected ident at line 1 column 2");
        assert_eq!(refusal("{}"), "missing field `tenants` at line 1 column 2");
        assert_eq!(refusal(r#"{"tenants": []} x"#), "trailing characters at line 1 column 17");
    }
}
