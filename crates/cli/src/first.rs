//! The first start: where requests go is asked and written down, where nothing says it yet.

use quire_config::{Endpoint, EndpointStanding, endpoints};
use quire_protocol::ModelErrorKind;
use quire_tui::{Choice, Listed, NoModels, Offer, Place, Takes, Welcome};

use crate::surroundings::Surroundings;
use crate::{assemble, terminal, usage};

/// Asks for an endpoint and a model, and writes it into the person's settings.
pub(crate) async fn start(around: &Surroundings) -> anyhow::Result<()> {
    let found = endpoints(&|name| around.variable(name).map(str::to_owned));
    let offers = found.iter().map(|endpoint| Offer {
        title: endpoint.title.clone(),
        takes: match endpoint.standing {
            EndpointStanding::Ready => Takes::Nothing,
            EndpointStanding::Local => Takes::Running,
            EndpointStanding::Keyless => Takes::Key,
        },
    });
    let offers = offers.collect();
    let (surroundings, known) = (around.clone(), found.clone());
    let models = Box::new(move |choice: &Choice| {
        let (around, endpoint) = (surroundings.clone(), meant(&known, choice));
        Box::pin(async move { models(&around, &endpoint).await }) as _
    });
    let chosen = quire_tui::welcome(Welcome { offers, models }).await?;
    let (choice, model) = chosen.ok_or_else(|| usage("no model was chosen; nothing is written"))?;
    let path = around.paths.config_file();
    let endpoint = meant(&found, &choice);
    if endpoint.has_secret() {
        quire_headless::make_private(&path).map_err(usage)?;
    }
    quire_headless::edit(&path, |path, text| endpoint.add_to(path, text, &model)).map_err(usage)?;
    terminal::complain(&format!("wrote {}", quire_protocol::spelled(&path)));
    Ok(())
}

fn meant(found: &[Endpoint], choice: &Choice) -> Endpoint {
    let endpoint = match &choice.place {
        Place::Offered(place) => found[*place].clone(),
        Place::At(address) => Endpoint::at(address),
    };
    endpoint.with_key(choice.key.clone())
}

/// Asks an endpoint for its models, as it would be asked with the settings that name it.
async fn models(around: &Surroundings, endpoint: &Endpoint) -> Listed {
    let settings = endpoint.settings("unknown").into_bytes();
    let resolved = around
        .settings_with(Some(settings), [])
        .map_err(|error| NoModels::Failed(error.to_string()))?;
    let provider = assemble::provider(around, &resolved, endpoint.provider());
    let undescribed = || NoModels::Failed("the endpoint cannot be described".to_owned());
    let provider = provider.ok_or_else(undescribed)?;
    let probed = quire_model::probe(&provider).await;
    probed.map(|probe| probe.models).map_err(|error| {
        let words = format!("{error}. {}", error.hint);
        match error.kind {
            ModelErrorKind::NotAnApi => NoModels::Unlisted(words),
            _ => NoModels::Failed(words),
        }
    })
}
