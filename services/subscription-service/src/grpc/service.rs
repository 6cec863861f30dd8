//! The rpcs: caller, parse, use case, present (S11).

use access::{Call, Caller};
use api::subscription::v1::catalog_service_server::CatalogService;
use api::subscription::v1::order_service_server::OrderService;
use api::subscription::v1::subscription_service_server::SubscriptionService;
use api::subscription::v1::{
    AttachOffice365SubscriptionRequest, AttachOffice365SubscriptionResponse, GetOfferRequest,
    GetOfferResponse, GetOrderRequest, GetOrderResponse, GetProductRequest, GetProductResponse,
    GetSubscriptionRequest, GetSubscriptionResponse, ListOffersRequest, ListOffersResponse,
    ListOrdersRequest, ListOrdersResponse, ListProductsRequest, ListProductsResponse,
    ListSubscriptionsRequest, ListSubscriptionsResponse, PreviewOffice365OrderRequest,
    PreviewOffice365OrderResponse, SignUpAzureSubscriptionRequest, SignUpAzureSubscriptionResponse,
};
use tonic::{Request, Response, Status};

use super::{Handler, parse, present};
use crate::domain::refused::Refused;

const ATTACH: &str = "/tenure.subscription.v1.SubscriptionService/AttachOffice365Subscription";
const SIGN_UP: &str = "/tenure.subscription.v1.SubscriptionService/SignUpAzureSubscription";

#[tonic::async_trait]
impl CatalogService for Handler {
    async fn list_products(
        &self,
        request: Request<ListProductsRequest>,
    ) -> Result<Response<ListProductsResponse>, Status> {
        let caller = self.edge.caller(&request)?;
        self.edge.answer(self.products(&caller, request.into_inner()).await)
    }

    async fn get_product(
        &self,
        request: Request<GetProductRequest>,
    ) -> Result<Response<GetProductResponse>, Status> {
        let caller = self.edge.caller(&request)?;
        self.edge.answer(self.product(&caller, request.get_ref()).await)
    }

    async fn list_offers(
        &self,
        request: Request<ListOffersRequest>,
    ) -> Result<Response<ListOffersResponse>, Status> {
        let caller = self.edge.caller(&request)?;
        self.edge.answer(self.offers(&caller, request.into_inner()).await)
    }

    async fn get_offer(
        &self,
        request: Request<GetOfferRequest>,
    ) -> Result<Response<GetOfferResponse>, Status> {
        let caller = self.edge.caller(&request)?;
        self.edge.answer(self.offer(&caller, request.get_ref()).await)
    }
}

#[tonic::async_trait]
impl OrderService for Handler {
    async fn preview_office365_order(
        &self,
        request: Request<PreviewOffice365OrderRequest>,
    ) -> Result<Response<PreviewOffice365OrderResponse>, Status> {
        let caller = self.edge.caller(&request)?;
        self.edge.answer(self.preview(&caller, request.into_inner()).await)
    }

    async fn get_order(
        &self,
        request: Request<GetOrderRequest>,
    ) -> Result<Response<GetOrderResponse>, Status> {
        let caller = self.edge.caller(&request)?;
        self.edge.answer(self.order(&caller, request.get_ref()).await)
    }

    async fn list_orders(
        &self,
        request: Request<ListOrdersRequest>,
    ) -> Result<Response<ListOrdersResponse>, Status> {
        let caller = self.edge.caller(&request)?;
        self.edge.answer(self.orders(&caller, request.into_inner()).await)
    }
}

#[tonic::async_trait]
impl SubscriptionService for Handler {
    async fn attach_office365_subscription(
        &self,
        request: Request<AttachOffice365SubscriptionRequest>,
    ) -> Result<Response<AttachOffice365SubscriptionResponse>, Status> {
        let call = self.edge.call(&request, ATTACH, &request.get_ref().request_id)?;
        let result = self.attach(&call, request.get_ref()).await;
        self.edge.answer_write(&call, &request.get_ref().parent, result).await
    }

    async fn sign_up_azure_subscription(
        &self,
        request: Request<SignUpAzureSubscriptionRequest>,
    ) -> Result<Response<SignUpAzureSubscriptionResponse>, Status> {
        let call = self.edge.call(&request, SIGN_UP, &request.get_ref().request_id)?;
        let result = self.sign_up(&call, request.get_ref()).await;
        self.edge.answer_write(&call, &request.get_ref().offer, result).await
    }

    async fn get_subscription(
        &self,
        request: Request<GetSubscriptionRequest>,
    ) -> Result<Response<GetSubscriptionResponse>, Status> {
        let caller = self.edge.caller(&request)?;
        self.edge.answer(self.subscription(&caller, request.get_ref()).await)
    }

    async fn list_subscriptions(
        &self,
        request: Request<ListSubscriptionsRequest>,
    ) -> Result<Response<ListSubscriptionsResponse>, Status> {
        let caller = self.edge.caller(&request)?;
        self.edge.answer(self.subscriptions(&caller, request.into_inner()).await)
    }
}

/// One method an rpc: parse, use case, present.
impl Handler {
    async fn products(
        &self,
        caller: &Caller,
        request: ListProductsRequest,
    ) -> Result<ListProductsResponse, Refused> {
        let page = self.use_cases.list_products(caller, &parse::list_products(request)?).await?;
        let products = page.entries.iter().map(present::product).collect();
        Ok(ListProductsResponse { products, next_page_token: page.next_page_token })
    }

    async fn product(
        &self,
        caller: &Caller,
        request: &GetProductRequest,
    ) -> Result<GetProductResponse, Refused> {
        let product = self.use_cases.get_product(caller, &parse::product_name(&request.name)?).await?;
        Ok(GetProductResponse { product: Some(present::product(&product)) })
    }

    async fn offers(
        &self,
        caller: &Caller,
        request: ListOffersRequest,
    ) -> Result<ListOffersResponse, Refused> {
        let page = self.use_cases.list_offers(caller, &parse::list_offers(request)?).await?;
        let offers = page.entries.iter().map(present::offer).collect();
        Ok(ListOffersResponse { offers, next_page_token: page.next_page_token })
    }

    async fn offer(&self, caller: &Caller, request: &GetOfferRequest) -> Result<GetOfferResponse, Refused> {
        let offer = self.use_cases.get_offer(caller, &parse::offer_name(&request.name)?).await?;
        Ok(GetOfferResponse { offer: Some(present::offer(&offer)) })
    }

    async fn preview(
        &self,
        caller: &Caller,
        request: PreviewOffice365OrderRequest,
    ) -> Result<PreviewOffice365OrderResponse, Refused> {
        let previewed = self.use_cases.preview_office365_order(caller, &parse::preview(&request)?).await?;
        let order_preview = Some(present::preview(previewed, request.offer));
        Ok(PreviewOffice365OrderResponse { order_preview })
    }

    async fn order(&self, caller: &Caller, request: &GetOrderRequest) -> Result<GetOrderResponse, Refused> {
        let (directory, id) = parse::order_name(&request.name)?;
        let order = self.use_cases.get_order(caller, directory, id).await?;
        Ok(GetOrderResponse { order: Some(present::order(&order)) })
    }

    async fn orders(
        &self,
        caller: &Caller,
        request: ListOrdersRequest,
    ) -> Result<ListOrdersResponse, Refused> {
        let page = self.use_cases.list_orders(caller, &parse::list_orders(request)?).await?;
        let orders = page.entries.iter().map(present::order).collect();
        Ok(ListOrdersResponse { orders, next_page_token: page.next_page_token })
    }

    async fn attach(
        &self,
        call: &Call,
        request: &AttachOffice365SubscriptionRequest,
    ) -> Result<AttachOffice365SubscriptionResponse, Refused> {
        let placed = self.use_cases.attach_office365_subscription(call, &parse::attach(request)?).await?;
        let (subscription, order) = present::placed(&placed, request.validate_only);
        Ok(AttachOffice365SubscriptionResponse { subscription: Some(subscription), order: Some(order) })
    }

    async fn sign_up(
        &self,
        call: &Call,
        request: &SignUpAzureSubscriptionRequest,
    ) -> Result<SignUpAzureSubscriptionResponse, Refused> {
        let placed = self.use_cases.sign_up_azure_subscription(call, &parse::sign_up(request)?).await?;
        let (subscription, order) = present::placed(&placed, request.validate_only);
        Ok(SignUpAzureSubscriptionResponse { subscription: Some(subscription), order: Some(order) })
    }

    async fn subscription(
        &self,
        caller: &Caller,
        request: &GetSubscriptionRequest,
    ) -> Result<GetSubscriptionResponse, Refused> {
        let id = parse::subscription_name(&request.name)?;
        let subscription = self.use_cases.get_subscription(caller, id).await?;
        let subscription = Some(present::subscription(&subscription, self.edge.now()));
        Ok(GetSubscriptionResponse { subscription })
    }

    async fn subscriptions(
        &self,
        caller: &Caller,
        request: ListSubscriptionsRequest,
    ) -> Result<ListSubscriptionsResponse, Refused> {
        let page = self.use_cases.list_subscriptions(caller, &parse::list_subscriptions(request)?).await?;
        let now = self.edge.now();
        let subscriptions = page.entries.iter().map(|one| present::subscription(one, now)).collect();
        Ok(ListSubscriptionsResponse { subscriptions, next_page_token: page.next_page_token })
    }
}
